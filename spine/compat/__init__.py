"""Old shapes of manifests, rewritten to what is written today before anything is validated.

Blog posts and old installations hold YAML that Argo Events once took and today ignores without a
word, or never documented. One row of the table below is one such shape: it is moved, dropped or
refused, and the user is told what to write. Whoever validates an object calls `modernise`
first, so a shape that is in the table works everywhere: in `lint`, in `run`, in a pod.
"""

from typing import Any

from spine.compat import event_bus, event_source, sensor
from spine.compat.files import FILE, PathSecrets
from spine.compat.rewriting import Modern, rewrite
from spine.compat.row import Row

__all__ = ["FILE", "TABLE", "Modern", "PathSecrets", "Row", "modernise"]

TABLE: tuple[Row, ...] = (*event_source.rows(), *sensor.rows(), *event_bus.rows())


def modernise(kind: str, raw: dict[str, Any]) -> Modern:
    """Rewrite an object of a kind; the given one is left as it is."""
    return rewrite(raw, (row for row in TABLE if row.kind == kind))
