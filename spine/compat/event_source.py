"""Old shapes of EventSources."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.compat import pod
from spine.compat.row import Row, dropped, file_ref, key_files

SOURCE = "EventSource"
EVENT = "spec.*.*"
"""An event of any kind."""
OUR_NAMESPACE = "leave it out: Secrets are taken from the namespace of the EventSource"
SECRET_USERS = ("sns", "sqs", "github", "gitlab", "slack", "stripe", "emitter", "hdfs",
                "azureEventsHub")  # fmt: skip


def rows() -> Iterator[Row]:
    """Yield them."""
    yield from pod.rows(SOURCE)
    yield Row(SOURCE, "spec.replica", "spec.replicas", "v1.4", "write replicas")
    yield Row(SOURCE, "spec.type", None, "v0.16", "leave it out")
    yield from _secrets()
    yield from _calendar()
    yield from _pub_sub()
    yield from _repositories()
    yield from _gitlab()
    yield Row(SOURCE, "spec.generic.*.value", None, "v1.0", "write url and config")


def _secrets() -> Iterator[Row]:
    """Files and Secrets of other namespaces."""
    for hook in ("spec.webhook.*", f"{EVENT}.webhook"):
        yield from key_files(SOURCE, hook, "v1.4", "serverCertPath", "serverKeyPath")
    files = ("caCertPath", "clientCertPath", "clientKeyPath")
    yield from key_files(SOURCE, f"{EVENT}.tls", "v1.4", *files)
    yield Row(SOURCE, "spec.webhook.*.authSecret.namespace", None, "v0.16", OUR_NAMESPACE)
    for kind in SECRET_USERS:
        yield Row(SOURCE, f"spec.{kind}.*.namespace", None, "v0.16", OUR_NAMESPACE)


# ---------------------------------------------------------------------------- calendar


def _user_payload(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    import orjson

    return {"userPayload": value if isinstance(value, str) else orjson.dumps(value).decode()}


def _exclusions(value: Any) -> Any:
    lines = value if isinstance(value, list) else [value]
    return [line for line in lines if isinstance(line, str) and line.startswith("EXDATE")]


def _calendar() -> Iterator[Row]:
    calendar = "spec.calendar.*"
    yield Row(
        SOURCE, f"{calendar}.recurrence", f"{calendar}.exclusionDates", "v0.11",
        "write exclusionDates with the EXDATE lines; other rules never had an effect",
        convert=_exclusions,
    )  # fmt: skip
    yield Row(
        SOURCE, f"{calendar}.userPayload", f"{calendar}.metadata", "v1.4",
        "write metadata, a map of texts; it arrives as metadata and no longer as userPayload",
        convert=_user_payload,
    )  # fmt: skip


# ---------------------------------------------------------------------------- clouds, code hosts


def _pub_sub() -> Iterator[Row]:
    pub_sub = "spec.pubSub.*"
    yield Row(
        SOURCE, f"{pub_sub}.credentialsFile", f"{pub_sub}.credentialSecret", "v1.4",
        "write credentialSecret with name and key of a Secret", convert=file_ref,
    )  # fmt: skip
    say = "leave it out: without a credentialSecret the identity of the workload is used"
    for name, until in (("enableWorkloadIdentity", "v0.17"), ("enableWorkflowIdentity", "v0.15")):
        yield Row(SOURCE, f"{pub_sub}.{name}", None, until, say)


_Entry = Callable[[Any, Any], dict[str, Any]]


def _repositories() -> Iterator[Row]:
    """One repository, written beside everything else, where a list is written today."""
    for kind, until, keys, entry in (
        ("github", "v1.3", ("owner", "repository"), lambda o, r: {"owner": o, "names": [r]}),
        ("bitbucket", "v1.7", ("owner", "repositorySlug"),
         lambda o, r: {"owner": o, "repositorySlug": r}),
        ("bitbucketserver", "v1.5", ("projectKey", "repositorySlug"),
         lambda o, r: {"projectKey": o, "repositorySlug": r}),
    ):  # fmt: skip
        at = f"spec.{kind}.*"
        yield _one_repository(at, until, keys, entry)
        for name in keys:
            yield Row(SOURCE, f"{at}.{name}", None, until, "write repositories")
    yield Row(SOURCE, "spec.bitbucket.*.projectKey", None, "v1.7", "leave it out")
    yield Row(SOURCE, "spec.github.*.id", None, "v1.3", "leave it out")


def _one_repository(at: str, until: str, keys: tuple[str, str], entry: _Entry) -> Row:
    def whole(event: Any) -> bool:
        return isinstance(event, dict) and {*keys} <= event.keys() and "repositories" not in event

    def listed(event: dict[str, Any]) -> dict[str, Any]:
        rest = {k: v for k, v in event.items() if k not in keys}
        return {**rest, "repositories": [entry(*(event[k] for k in keys))]}

    return Row(SOURCE, at, at, until, "write repositories", when=whole, convert=listed, key=keys[0])


def _gitlab() -> Iterator[Row]:
    gitlab = "spec.gitlab.*"
    for old, until in (("projectID", "v1.4"), ("projectId", "v0.15")):
        yield Row(
            SOURCE, f"{gitlab}.{old}", f"{gitlab}.projects", until, "write projects",
            convert=lambda project: [project],
        )  # fmt: skip
    yield Row(
        SOURCE, f"{gitlab}.event", f"{gitlab}.events", "v0.15", "write events",
        convert=lambda event: [event],
    )  # fmt: skip
    yield from dropped(SOURCE, gitlab, "v0.15", "leave it out", "allowDuplicate")
