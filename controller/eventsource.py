"""Reconciles EventSources."""

from typing import ClassVar

from typing_extensions import override

from controller.cluster import Cluster
from controller.reconciler import Manifest
from controller.workload.checking import Looked
from controller.workload.desired import Known
from controller.workload.durables import reads_from
from controller.workload.reconciler import Workload
from spine.manifest import ARGO


class EventSourceReconciler(Workload):
    """Runs EventSources, once those who wait for their events have a place on the bus."""

    kind: ClassVar[str] = "EventSource"
    api_version: ClassVar[str] = ARGO

    @override
    async def before_first(
        self, cluster: Cluster, looked: Looked, bus: Manifest, known: Known
    ) -> str:
        namespace, name = looked.checked.key
        sensors = cluster.all(ARGO, "Sensor", namespace)
        firsts = [
            first
            for first in await self.sensors_without_pods(cluster, looked.checked.bus, sensors)
            if reads_from(first.checked, name)
        ]
        why = await self.shared.durables.prepare(cluster, bus, firsts)
        return f"Sensors may miss what is sent before they start: {why}" if why else ""
