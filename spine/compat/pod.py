"""Old shapes of `spec.template`, which dresses the pod of an EventSource or a Sensor."""

from collections.abc import Iterator

from spine.compat.row import Row, dropped, moved

POD_FIELDS = """
serviceAccountName volumes securityContext nodeSelector tolerations affinity imagePullSecrets
priorityClassName priority
""".split()  # noqa: SIM905 -- a list of words reads better as one
CONTAINER_FIELDS = """
image command args name ports workingDir lifecycle livenessProbe readinessProbe startupProbe
stdin tty terminationMessagePath terminationMessagePolicy
""".split()  # noqa: SIM905 -- a list of words reads better as one


def rows(kind: str) -> Iterator[Row]:
    """Yield them for a kind of object."""
    old, new = "spec.template.spec", "spec.template"
    yield from moved(kind, old, new, "v0.17", *POD_FIELDS)
    say = "the container is the program's own: template.container takes env, resources and mounts"
    yield Row(kind, f"{old}.containers", None, "v0.17", say)
    yield Row(kind, old, None, "v0.17", f"write the fields under {new}")
    say = "it has no effect: the container is the program's own"
    yield from dropped(kind, f"{new}.container", "v1.9.5", say, *CONTAINER_FIELDS)
