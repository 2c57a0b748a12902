"""Reconciles Sensors."""

from typing import ClassVar

from typing_extensions import override

from controller.cluster import Cluster
from controller.reconciler import Manifest
from controller.workload.checking import Looked
from controller.workload.desired import Known, generation
from controller.workload.durables import First
from controller.workload.reconciler import Workload
from spine.manifest import ARGO


class SensorReconciler(Workload):
    """Runs Sensors; a new one has its place on the bus before it has pods."""

    kind: ClassVar[str] = "Sensor"
    api_version: ClassVar[str] = ARGO

    @override
    async def before_first(
        self, cluster: Cluster, looked: Looked, bus: Manifest, known: Known
    ) -> str:
        first = First(looked.checked, generation(looked.checked, known.kept))
        return await self.shared.durables.prepare(cluster, bus, [first])
