"""Installs the JetStream cluster that an EventBus object describes, or passes on one there is."""

from controller.bus.reconciler import EventBusReconciler
from controller.bus.versions import Settings

__all__ = ["EventBusReconciler", "Settings"]
