"""Metrics, logs and the status server of one process.

Metrics carry Argo Events' names, so existing dashboards and alerts go on working, and ours
beside them for what those cannot tell: what was filtered and why, what waits, what died.
"""

from spine.telemetry.logs import LEVELS, JsonLines, TextLines, configure_logging
from spine.telemetry.metrics import registry
from spine.telemetry.sensor import SensorMetrics
from spine.telemetry.source import SourceMetrics
from spine.telemetry.status import CONNECTIONS, StatusServer

__all__ = [
    "CONNECTIONS",
    "LEVELS",
    "JsonLines",
    "SensorMetrics",
    "SourceMetrics",
    "StatusServer",
    "TextLines",
    "configure_logging",
    "registry",
]
