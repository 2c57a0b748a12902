"""Tells people when an object of any kind reaches a state, by the notifications format of Argo."""
