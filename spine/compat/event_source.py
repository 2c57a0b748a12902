"""Old shapes of EventSources."""

from collections.abc import Iterator
from typing import Any

from spine.compat import pod
from spine.compat.row import Row, key_files


def _user_payload(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    import orjson

    return {"userPayload": value if isinstance(value, str) else orjson.dumps(value).decode()}


def _exclusions(value: Any) -> Any:
    lines = value if isinstance(value, list) else [value]
    return [line for line in lines if isinstance(line, str) and line.startswith("EXDATE")]


def rows() -> Iterator[Row]:
    """Yield them."""
    source = "EventSource"
    yield from pod.rows(source)
    yield Row(source, "spec.replica", "spec.replicas", "v1.4", "write replicas")
    yield Row(source, "spec.type", None, "v0.16", "leave it out")
    names = ("serverCertPath", "serverKeyPath")
    yield from key_files(source, "spec.webhook.*", "v1.4", *names)
    yield Row(
        source, "spec.webhook.*.authSecret.namespace", None, "v0.16",
        "leave it out: Secrets are taken from the namespace of the EventSource",
    )  # fmt: skip
    calendar = "spec.calendar.*"
    yield Row(
        source, f"{calendar}.recurrence", f"{calendar}.exclusionDates", "v0.11",
        "write exclusionDates with the EXDATE lines; other rules never had an effect",
        convert=_exclusions,
    )  # fmt: skip
    yield Row(
        source, f"{calendar}.userPayload", f"{calendar}.metadata", "v1.4",
        "write metadata, a map of texts; it arrives as metadata and no longer as userPayload",
        convert=_user_payload,
    )  # fmt: skip
