"""Reconciles Notifiers."""

from typing import ClassVar

from typing_extensions import override

from controller.cluster import Cluster
from controller.reconciler import Manifest
from controller.workload.checking import Looked
from controller.workload.desired import Known
from controller.workload.reconciler import Workload
from spine.manifest import OURS


class NotifierReconciler(Workload):
    """Runs Notifiers, which read what they are configured by from the API server themselves."""

    kind: ClassVar[str] = "Notifier"
    api_version: ClassVar[str] = f"{OURS}/v1alpha1"

    @override
    async def before_first(
        self, cluster: Cluster, looked: Looked, bus: Manifest, known: Known
    ) -> str:
        return ""  # it reads no events
