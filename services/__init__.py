"""Ways to tell people: one file each, used by the notifier and by the trigger `notify`."""
