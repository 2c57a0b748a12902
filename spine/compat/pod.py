"""Old shapes of `spec.template`, which dresses the pod of an EventSource or a Sensor."""

from collections.abc import Iterator
from typing import Any

from spine.compat.row import Row, dropped, moved

POD_FIELDS = """
serviceAccountName volumes securityContext nodeSelector tolerations affinity imagePullSecrets
priorityClassName priority
""".split()  # noqa: SIM905 -- a list of words reads better as one
CONTAINER_FIELDS = """
image command args name ports workingDir lifecycle livenessProbe readinessProbe startupProbe
stdin tty terminationMessagePath terminationMessagePolicy
""".split()  # noqa: SIM905 -- a list of words reads better as one


def _one_container(containers: Any) -> bool:
    return isinstance(containers, list) and len(containers) == 1 and isinstance(containers[0], dict)


def rows(kind: str) -> Iterator[Row]:
    """Yield them for a kind of object."""
    old, new = "spec.template.spec", "spec.template"
    yield from moved(kind, old, new, "v0.17", *POD_FIELDS)
    say = "write template.container, with env, resources and mounts: all else is the program's own"
    yield Row(
        kind, f"{old}.containers", f"{new}.container", "v0.17", say,
        when=_one_container, convert=lambda containers: containers[0],
    )  # fmt: skip
    say = "the container is the program's own: template.container takes env, resources and mounts"
    yield Row(kind, f"{old}.containers", None, "v0.17", say)
    yield Row(kind, old, None, "v0.17", f"write the fields under {new}")
    say = "it has no effect: the container is the program's own"
    yield from dropped(kind, f"{new}.container", "v1.9.5", say, *CONTAINER_FIELDS)
