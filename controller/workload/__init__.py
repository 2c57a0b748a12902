"""What runs an EventSource, a Sensor or a Notifier in a cluster."""

from controller.workload.desired import Known, Options, desired

__all__ = ["Known", "Options", "desired"]
