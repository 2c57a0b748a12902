"""Reconciles Sensors."""

from typing import ClassVar

from typing_extensions import override

from controller.cluster import Cluster
from controller.reconciler import Manifest
from controller.workload.checking import Looked
from controller.workload.desired import Known, generation
from controller.workload.durables import First, adopts
from controller.workload.reconciler import Workload
from spine.errors import BusError
from spine.manifest import ARGO


class SensorReconciler(Workload):
    """Runs Sensors; a new one has its place on the bus before it has pods.

    One that takes over from Argo Events has no pods until that is done.
    """

    kind: ClassVar[str] = "Sensor"
    api_version: ClassVar[str] = ARGO

    @override
    async def before_first(
        self, cluster: Cluster, looked: Looked, bus: Manifest, known: Known
    ) -> str:
        adopt = adopts(cluster, looked.checked)
        first = First(looked.checked, generation(looked.checked, known.kept), adopt)
        why = await self.shared.durables.prepare(cluster, bus, [first])
        if adopt and why:  # a pod of its own would begin at new events
            raise BusError(f"deploying Sensor {looked.checked.object.name}: {why}")
        return why
