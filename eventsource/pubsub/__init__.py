"""Pub/Sub: connection, subscription, streaming pull and push, for the source `pubSub`."""
