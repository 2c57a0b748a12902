"""Rooms of the sources that watch folders: what counts, what changed, what is remembered."""
