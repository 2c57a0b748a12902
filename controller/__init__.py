"""Brings a cluster to what EventBus, EventSource, Sensor and Notifier objects say."""
