"""Kubernetes objects that are watched: which count, what is remembered of them, what is told."""
