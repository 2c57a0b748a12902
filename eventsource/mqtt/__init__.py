"""Receiving from an MQTT broker."""
