"""Old shapes of triggers, and fields of triggers that many write in the wrong place.

Argo Events ignores a `policy` or an `atLeastOnce` inside of `template` without a word, although
its own examples show it there. Such a field is moved to where it works; where it stands in the
right place too, that one counts.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from spine.compat.row import NEVER, SENSOR, Row, dropped, file_ref, key_files, moved

TRIGGER = "spec.triggers.*"
TEMPLATE = f"{TRIGGER}.template"
KIND = f"{TEMPLATE}.*"

BESIDE_TEMPLATE = """
dlqTrigger policy retryStrategy rateLimit atLeastOnce if debounce batch idempotencyKey orderBy
""".split()  # noqa: SIM905 -- a list of words reads better as one
"""Fields of a trigger; a dlqTrigger first, as it may hold the others in the wrong place again."""
IN_TEMPLATE = ("name", "conditions", "conditionsReset")
KINDS = """
k8s argoWorkflow http awsLambda azureEventHubs azureServiceBus kafka pulsar nats slack openWhisk
custom log email notify
""".split()  # noqa: SIM905 -- a list of words reads better as one
OUR_NAMESPACE = "leave it out: Secrets and ConfigMaps are taken from the namespace of the Sensor"
SECRET_USERS = """
http.basicAuth http.basicAuth.username http.basicAuth.password slack slack.slackToken awsLambda
awsLambda.accessKey awsLambda.secretKey openWhisk.authToken k8s.source.configmap k8s.source.git
argoWorkflow.source.configmap argoWorkflow.source.git
""".split()  # noqa: SIM905 -- a list of words reads better as one


def rows() -> Iterator[Row]:
    """Yield them, for triggers and for their dlqTriggers."""
    return of_dlq_triggers_too(_rows())


def _rows() -> Iterator[Row]:
    yield Row(
        SENSOR, f"{TEMPLATE}.openFaas", None, "v0.16",
        "use http with the address of the function", refuse=True,
    )  # fmt: skip
    yield from _misplaced()
    yield from _parameters()
    yield from _k8s()
    yield from _kinds()


def _misplaced() -> Iterator[Row]:
    for name in BESIDE_TEMPLATE:
        say = f"write {name} beside template"
        for place in (TEMPLATE, KIND):
            yield Row(SENSOR, f"{place}.{name}", f"{TRIGGER}.{name}", NEVER, say)
    for name in IN_TEMPLATE:
        say = f"write {name} inside of template"
        yield Row(SENSOR, f"{TRIGGER}.{name}", f"{TEMPLATE}.{name}", NEVER, say)
    for name in IN_TEMPLATE[1:]:
        say = f"write {name} inside of template, beside the kind of trigger"
        yield Row(SENSOR, f"{KIND}.{name}", f"{TEMPLATE}.{name}", NEVER, say)


# ---------------------------------------------------------------------------- parameters


def _dests(parameters: Any) -> list[str]:
    entries = parameters if isinstance(parameters, list) else []
    return [str(entry.get("dest", "")) for entry in entries if isinstance(entry, dict)]


def _of_template(parameters: Any) -> bool:
    """Whether parameters say where they go from the template on, such as `http.url`."""
    return any(dest.partition(".")[0] in {*KINDS, *IN_TEMPLATE} for dest in _dests(parameters))


def _with_parameters(template: Any) -> bool:
    """Whether a template has parameters, and its kind is of a shape that could take them."""
    if not isinstance(template, dict) or "parameters" not in template:
        return False
    return isinstance(template.get(_kind_of(template)) or {}, dict)


def _kind_of(template: dict[str, Any]) -> str:
    known = (k for k in template if k in KINDS)
    others = (k for k in template if isinstance(template[k], dict) and k != "when")
    return next(known, "") or next(others, "k8s")


def _into_kind(template: dict[str, Any]) -> dict[str, Any]:
    template = dict(template)
    parameters, kind = template.pop("parameters"), _kind_of(template)
    return {**template, kind: {"parameters": parameters, **(template.get(kind) or {})}}


def _say_parameters(trigger: Any, _: dict[str, Any]) -> str:
    template = trigger["template"]
    kind = _kind_of(template)
    if "parameters" in (template.get(kind) or {}):
        return f"ignored, because {kind} has parameters, too"
    return "write parameters inside of the kind of trigger"


def _with_resource_parameters(trigger: Any) -> bool:
    if not isinstance(trigger, dict) or "resourceParameters" not in trigger:
        return False
    template = trigger.get("template") or {}
    return isinstance(template, dict) and _with_parameters({**template, "parameters": []})


def _resource_parameters(trigger: dict[str, Any]) -> dict[str, Any]:
    trigger = dict(trigger)
    template = {**(trigger.get("template") or {}), "parameters": trigger.pop("resourceParameters")}
    return {**trigger, "template": _into_kind(template)}


def _parameters() -> Iterator[Row]:
    yield Row(
        SENSOR, f"{TRIGGER}.templateParameters", f"{TRIGGER}.parameters", "v0.11",
        "write parameters",
    )  # fmt: skip
    yield Row(
        SENSOR, TRIGGER, TRIGGER, "v0.11", "write parameters inside of the kind of trigger",
        when=_with_resource_parameters,
        convert=_resource_parameters, key="resourceParameters",
    )  # fmt: skip
    yield Row(
        SENSOR, f"{TEMPLATE}.parameters", f"{TRIGGER}.parameters", NEVER,
        "write parameters beside template", when=_of_template,
    )  # fmt: skip
    yield Row(
        SENSOR, TRIGGER, TRIGGER, NEVER, _say_parameters,
        when=lambda t: isinstance(t, dict) and _with_parameters(t.get("template")),
        convert=lambda t: {**t, "template": _into_kind(t["template"])}, key="template.parameters",
    )  # fmt: skip
    for place in (f"{TRIGGER}.parameters", f"{KIND}.parameters", f"{KIND}.payload"):
        for old, new in (("event", "dependencyName"), ("path", "dataKey")):
            src = f"{place}.*.src"
            yield Row(SENSOR, f"{src}.{old}", f"{src}.{new}", "v0.11", f"write {new}")


# ---------------------------------------------------------------------------- kinds


def _k8s() -> Iterator[Row]:
    say = "leave it out: it follows from apiVersion and kind of the source"
    yield from dropped(SENSOR, TEMPLATE, "v0.11", say, "group", "version", "resource", "kind")
    k8s, policy = f"{TEMPLATE}.k8s", f"{TRIGGER}.policy"
    yield Row(SENSOR, f"{TEMPLATE}.source", f"{k8s}.source", "v0.11", "write k8s.source")
    for kind in ("k8s", "argoWorkflow"):
        names = ("group", "version", "resource")
        yield from dropped(SENSOR, f"{TEMPLATE}.{kind}", "v1.4", say, *names)
        git = f"{TEMPLATE}.{kind}.source.git"
        yield from key_files(SENSOR, git, "v1.4", "sshKeyPath")
    yield from moved(SENSOR, policy, f"{policy}.k8s", "v0.11", "backoff", "errorOnBackoffTimeout")
    yield Row(
        SENSOR, f"{policy}.state.success", f"{policy}.k8s.labels", "v0.11",
        "write policy.k8s.labels",
    )  # fmt: skip
    yield Row(SENSOR, f"{policy}.state", None, "v0.11", "labels of a failure are not looked at")


def _flat(headers: dict[str, Any]) -> dict[str, Any]:
    return {k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in headers.items()}


def _kinds() -> Iterator[Row]:
    http = f"{TEMPLATE}.http"
    yield Row(SENSOR, f"{http}.serverURL", f"{http}.url", "v0.15", "write url")
    yield Row(
        SENSOR, f"{http}.headers", f"{http}.headers", "v0.16", "write each header as one text",
        when=lambda v: isinstance(v, dict) and any(isinstance(x, list) for x in v.values()),
        convert=_flat,
    )  # fmt: skip
    for user in SECRET_USERS:
        at = f"{TEMPLATE}.{user}"
        yield Row(SENSOR, f"{at}.namespace", None, "v0.17", OUR_NAMESPACE)
    names = ("caCertPath", "clientCertPath", "clientKeyPath")
    yield from key_files(SENSOR, f"{KIND}.tls", "v0.17", *names)
    yield Row(
        SENSOR, f"{TEMPLATE}.custom.certFilePath", f"{TEMPLATE}.custom.certSecret", "v0.17",
        "write certSecret with name and key of a Secret", convert=file_ref,
    )  # fmt: skip
    yield Row(
        SENSOR, f"{TEMPLATE}.kafka.partition", None, "v1.4",
        "leave it out: records go where partitioningKey says",
    )  # fmt: skip


def of_dlq_triggers_too(rows: Iterator[Row]) -> Iterator[Row]:
    """Repeat the rows of a trigger for its dlqTrigger, which is one too."""
    old, new = "spec.triggers.*", "spec.triggers.*.dlqTrigger"
    for row in rows:
        yield row
        if row.at.startswith(old):
            to = row.to.replace(old, new) if row.to else None
            yield replace(row, at=row.at.replace(old, new), to=to)
