"""Receiving from NATS servers."""
