"""Slack: what it posts, who signed it, and the payloads it becomes, for the source `slack`."""
