"""Reading Redis streams as a member of a consumer group."""
