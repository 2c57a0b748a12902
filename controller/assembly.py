"""Puts the controller together: which kinds there are, and what their reconcilers share."""

from collections.abc import Sequence

from controller.bus import EventBusReconciler
from controller.eventsource import EventSourceReconciler
from controller.leader import NAME, Leader
from controller.notifier import NotifierReconciler
from controller.reconciler import Reconciler
from controller.runner import Controller
from controller.sensor import SensorReconciler
from controller.sweep import GRACE, Sweep
from controller.workload.desired import Options
from controller.workload.reconciler import Shared
from spine.kube import Kube


def reconcilers(shared: Shared) -> Sequence[Reconciler]:
    """Return a reconciler of each kind, in the order in which all of them begin."""
    return [
        EventBusReconciler(allowed=shared.options.allowed),
        SensorReconciler(shared),
        NotifierReconciler(shared),
        EventSourceReconciler(shared),
    ]


def controller(  # noqa: PLR0913 -- what a controller is told
    kube: Kube,
    options: Options,
    *,
    identity: str,
    own_namespace: str,
    namespaces: tuple[str, ...] = (),
    lease: str = "",
    grace: float = GRACE,
) -> Controller:
    """Return a controller, ready to be run. To be called in a loop."""
    shared = Shared(options)
    return Controller(
        kube=kube,
        reconcilers=reconcilers(shared),
        leader=Leader(kube, own_namespace, identity, lease or NAME),
        namespaces=namespaces,
        namespace=own_namespace,
        sweep=Sweep(shared.lags, shared.dead, shared.pending, grace),
        reports=shared.reports,
    )
