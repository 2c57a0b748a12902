"""Rooms of the sources that are told of objects in buckets."""
