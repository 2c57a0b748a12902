"""A decision in words: one line that a tired person can act on.

The last line of `tocsin explain`, the text of a kept decision and the reason in a failed test are
this line. It says what fired, or the first thing that kept it from firing, with the guess of what
was meant where there is one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from delivery.action import Action
from sensor.evaluate import Decision, DependencyVerdict, TriggerVerdict
from sensor.trace import Mismatch, ParameterTrace, Present
from spine.event import Event

FIRED = "fired"
NOT_FIRED = "did not fire"


def fires(decision: Decision) -> bool:
    """Return whether something is done."""
    return bool(decision.actions) or any(t.code == "Fired" for t in decision.triggers)


def sentence(decision: Decision, event: Event, *, would: bool = True) -> str:
    """Return one line: what fired, or the first reason why nothing did.

    `would` says that the actions are not going to be done.
    """
    fired = [t for t in decision.triggers if t.code in {"Fired", "Repeated"}]
    if fired:
        return f"{FIRED}: {_fired(fired, decision, would)}{_but(decision)}"
    return f"{NOT_FIRED}: {_reason(decision, event)}"


def _fired(fired: list[TriggerVerdict], decision: Decision, would: bool) -> str:
    actions = {action.key: action for action in decision.actions}
    parts = []
    for verdict in fired:
        action = actions.get(verdict.key)
        verb = " would" if would else " is to"
        done = f"{verb} {deed(action)}" if action is not None else ""
        parts.append(f"trigger {verdict.name}{done}")
    return "; ".join(parts)


def _but(decision: Decision) -> str:
    """Say what went wrong beside what fired."""
    faulted = [f"trigger {t.name}: {t.message}" for t in decision.triggers if t.code == "Faulted"]
    traces = [t.trace for t in decision.triggers if t.trace is not None]
    left_out = [
        f"{one.place.removeprefix('template.')} is {one.note}"
        for trace in traces
        for one in trace.parameters
        if "which no dependency is called" in one.note
    ]
    return "".join(f"; but {text}" for text in (faulted + left_out)[:2])


def _reason(decision: Decision, event: Event) -> str:
    if decision.faults and not decision.dependencies:
        return decision.faults[0].message
    if not decision.dependencies:
        return _nobody(decision.others, event)
    for code in ("Faulted", "Skipped", "Gathered", "Waiting"):
        for verdict in decision.triggers:
            if verdict.code == code:
                return f"trigger {verdict.name}: {_trigger(verdict, decision)}"
    if decision.triggers:
        first = decision.triggers[0]
        return f"trigger {first.name}: {_trigger(first, decision)}"
    failed = [d for d in decision.dependencies if not d.passed]
    if failed:
        return refusal(failed[0])
    return "no trigger waits for this event"


def _hinted(text: str, hint: str) -> str:
    if not hint:
        return text
    return f"{text}; {hint}" if text.endswith(")") else f"{text} ({hint})"


# ---------------------------------------------------------------------------- dependencies


def refusal(verdict: DependencyVerdict) -> str:
    """Say why a dependency does not take the event."""
    return _hinted(f"dependency {verdict.name}: {_why(verdict)}", _hint(verdict))


def _why(verdict: DependencyVerdict) -> str:
    """Return what refuses; a fault without its hint where a better one follows."""
    reason, trace = verdict.reason, verdict.trace
    first = next((f for f in trace.filters if not f.passed), None) if trace is not None else None
    if first is None:
        return verdict.detail
    if reason is None:
        return f"{first.title}: {first.detail}" if first.error else verdict.message
    return reason.text if reason.number else f"{first.title}: {reason.text}"


def _hint(verdict: DependencyVerdict) -> str:
    """Return what the author of the first filter that refuses may have meant."""
    filters = verdict.trace.filters if verdict.trace is not None else ()
    return next((f.hints[0] for f in filters if not f.passed and f.hints), "")


def _nobody(others: list[Mismatch], event: Event) -> str:
    name = f"{event.source}/{event.subject}"
    text = f"no dependency of this Sensor names {name}"
    if not others:
        return text
    near = others[0]
    differs = " and ".join(near.differs)
    return f"{text}: nearest is {near.source}/{near.event} (dependency {near.name}: {differs})"


# ---------------------------------------------------------------------------- triggers


def _trigger(verdict: TriggerVerdict, decision: Decision) -> str:
    if verdict.code == "Waiting" and verdict.missing:
        return _waiting(verdict, decision)
    if verdict.code == "Faulted" and verdict.trace is not None:
        return _fault(verdict.trace.parameters) or verdict.message
    if verdict.code == "Skipped" and verdict.trace is not None:
        return _hinted(verdict.detail, next(iter(verdict.trace.hints), ""))
    if verdict.code == "Gathered":
        until = f" until {clock(verdict.due)}" if verdict.due else ""
        return f"{verdict.detail}{until}, and fires then"
    if verdict.code == "Superseded":
        return verdict.message or f"this event of {verdict.dependency} was counted before"
    return verdict.detail or verdict.code


def _fault(parameters: Sequence[ParameterTrace]) -> str:
    """Return why a value could not be taken, and what was meant."""
    first = next((one for one in parameters if one.fault), None)
    if first is None or not first.hints:
        return ""
    return _hinted(f"{first.place.removeprefix('template.')}: {first.fault}", first.hints[0])


def _waiting(verdict: TriggerVerdict, decision: Decision) -> str:
    missing = " and ".join(verdict.missing)
    present = verdict.trace.present if verdict.trace is not None else ()
    have = " and ".join(_since(one) for one in present) or verdict.dependency
    text = f"waits for {missing} (has {have})"
    if verdict.reset:
        text += f"; its conditions were reset at {clock(verdict.reset)}"
    refused = [d for d in decision.dependencies if not d.passed and d.name in verdict.missing]
    if refused:
        return f"{text}, and {refusal(refused[0])}"
    hints = verdict.trace.hints if verdict.trace is not None else ()
    return _hinted(text, hints[0] if hints else "")


def _since(one: Present) -> str:
    return f"{one.dependency} since {clock(one.since)}" if one.since else one.dependency


def clock(moment: float) -> str:
    """Return a moment, given in unix seconds, in UTC as people write it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# ---------------------------------------------------------------------------- actions


def deed(action: Action) -> str:
    """Return what an action does, as the words after `would`."""
    content = action.content
    match action.kind:
        case "http":
            url = masked_url(str(content.get("url", "")))
            return f"send {content.get('method', '')} {url}{_size(content)}"
        case "log":
            return f"log {plural(len(content.get('lines', [])), 'event')}"
        case "nats":
            return f"publish to {content.get('subject', '')}{_size(content)}"
        case "k8s" | "argoWorkflow":
            return f"{content.get('operation', 'do')} {_object(content)}"
    return _telling(action) or f"do {action.kind}"


def _telling(action: Action) -> str:
    """Return who is told by an action, empty for one that tells nobody."""
    content = action.content
    match action.kind:
        case "notify":
            return f"tell {_people(content.get('recipients'))} by {content.get('service', '')}"
        case "slack":
            return f"write to {content.get('channel', '')} in Slack"
        case "email":
            return f"mail {_people(content.get('to'))}: {content.get('subject', '')}"
    return ""


_NAMED = 3
"""Recipients that are named; of more only the number is told."""


def _people(names: Any) -> str:
    """Return who is told, in a few words."""
    listed = [str(name) for name in names] if isinstance(names, list) else []
    if not listed:
        return "people"
    return ", ".join(listed) if len(listed) <= _NAMED else plural(len(listed), "recipient")


def plural(number: int, word: str) -> str:
    """Return `1 event` or `2 events`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _size(content: Mapping[str, Any]) -> str:
    body = content.get("body") or content.get("payload")
    return (
        f" with {plural(len(body.encode(errors='replace')), 'byte')}"
        if isinstance(body, str) and body
        else ""
    )


def _object(content: Mapping[str, Any]) -> str:
    """Return kind, namespace and name of an object, as kubectl would be told."""
    made = content.get("object")
    if not isinstance(made, Mapping):
        return "the object of its source"
    metadata = made.get("metadata") or {}
    name = metadata.get("name") or f"{metadata.get('generateName', '')}…"
    namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{made.get('kind', 'object')} {namespace}{name}"


# ---------------------------------------------------------------------------- secrets

_PRIVATE = ("authorization", "token", "secret", "password", "api-key", "apikey", "cookie")
MASK = "***"
_REFERENCE = re.compile(r"\$[A-Za-z0-9_-]+|\$\{[^{}\s]+\}")
"""A text that is a key of a Secret and nothing else."""


def masked(value: Any, name: str = "") -> Any:
    """Return the content of an action with references in place of secrets.

    What is in an action is no secret, only where one is; but a manifest may have one written out
    in a header or a URL.
    """
    if name == "object":
        return _masked_object(value)
    if name == "config":
        return _masked_config(value)
    if isinstance(value, Mapping):
        reference = _reference(value, name)
        return reference or {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, str) and any(word in name.lower() for word in _PRIVATE):
        return MASK if value and not _REFERENCE.fullmatch(value) else value
    return masked_url(value) if isinstance(value, str) and name == "url" else value


def _masked_object(value: Any) -> Any:
    """Return a Kubernetes object; of a Secret the keys alone."""
    if not isinstance(value, Mapping) or value.get("kind") != "Secret":
        return value
    hidden = {
        part: dict.fromkeys(value[part], MASK)
        for part in ("data", "stringData")
        if isinstance(value.get(part), Mapping)
    }
    return {**value, **hidden}


def _masked_config(value: Any, name: str = "") -> Any:
    """Return the settings of a service; of URLs, whose path often is a credential, the host."""
    if isinstance(value, Mapping):
        return {key: _masked_config(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked_config(item) for item in value]
    scheme, mark, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    host, slash, path = rest.rpartition("@")[2].partition("/")
    if mark and path and not _REFERENCE.fullmatch(path):
        return f"{scheme}{mark}{host}{slash}{MASK}"
    return masked_url(value) if mark else masked(value, name)


def _reference(value: Mapping[str, Any], name: str) -> str:
    if "secretKeyRef" in value:
        return _reference(value["secretKeyRef"], "")
    if "configMapKeyRef" in value:
        return _reference(value["configMapKeyRef"], "configMap")
    if value.keys() - {"optional"} == {"name", "key"}:
        kind = "ConfigMap" if name.startswith("configMap") else "Secret"
        return f"<{kind} {value['name']}/{value['key']}>"
    return ""


def masked_url(url: str) -> str:
    """Return a URL without the password in it."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    user, at, server = host.rpartition("@")
    if not at or ":" not in user:
        return url
    return f"{scheme}{mark}{user.partition(':')[0]}:{MASK}@{server}{slash}{path}"


def readable(text: str) -> Any:
    """Return JSON as what it says, and anything else as the text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text
