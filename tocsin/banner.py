"""What `tocsin run` says once everything is up: what runs, where to post, and a line to try it."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

from tocsin.console import Console
from tocsin.report import plural
from tocsin.wanted import VERBS, Address, Wanted


def show_start(console: Console, counts: Mapping[str, int]) -> None:
    """Say at once what was read; `counts` are by verb."""
    if console.json:
        console.say("starting", read=dict(counts))
    else:
        console.say(f"Read {_counted(counts)}; starting.")


def _counted(counts: Mapping[str, int]) -> str:
    """Return `2 event sources, 1 sensor and 1 notifier`."""
    sources, sensors, notifiers = (counts[v] for v in ("eventsource", "sensor", "notifier"))
    some = [plural(notifiers, "notifier")] if notifiers else []
    if sources or sensors:
        some[:0] = [plural(sources, "event source"), plural(sensors, "sensor")]
    return ", ".join(some[:-1]) + (" and " if some[1:] else "") + some[-1]


def show(console: Console, running: Sequence[Wanted], bus: str, *, dry: bool = False) -> None:
    """Print the few lines that a user needs next."""
    sources = [w for w in running if w.verb == "eventsource"]
    sensors = [w for w in running if w.verb == "sensor"]
    sources.sort(key=lambda w: not _annotated(w))  # what is annotated is where to begin
    posts = [(w, address) for w in sources for address in w.addresses]
    try_it = curl(*posts[0], sensors) if posts else ""
    if console.json:
        urls = [{"source": w.checked.object.name, "event": a.event, "url": a.url} for w, a in posts]
        console.say("running", bus=bus, listening=urls, curl=try_it, dryRun=dry)
        return
    notifiers = [w for w in running if w.verb == "notifier"]
    what = _counted({verb: sum(w.verb == verb for w in running) for verb in VERBS.values()})
    nothing = ", dry: actions are told, not done" if dry else ""
    lines = [click.style(f"Running {what}{nothing}. Ctrl-C stops.", bold=True), f"  bus     {bus}"]
    for one in sources:
        found = one.addresses
        for address in found:
            name = f"{one.checked.object.name}/{address.event}"
            lines.append(f"  source  {name}  {address.method} {address.url}")
        others = [e for e in one.checked.spec.sources() if e not in {a.event for a in found}]
        for event in others:
            kind = one.checked.spec.sources()[event].type
            lines.append(f"  source  {one.checked.object.name}/{event}  {kind}")
    for one in sensors:
        triggers = ", ".join(one.checked.plan.triggers)
        lines.append(f"  sensor  {one.checked.object.name}  fires {triggers}")
    for one in notifiers:
        kinds = ", ".join(watch.kind for watch in one.checked.spec.watches)
        lines.append(f"  notifier  {one.checked.object.name}  watches {kinds}")
    if try_it:
        lines.append(f"Try it:\n  {try_it}")
    console.say("\n".join(lines))


def curl(source: Wanted, address: Address, sensors: Sequence[Wanted] = ()) -> str:
    """Return a command that posts an event to an address."""
    words = ["curl"]
    if address.url.startswith("https:"):
        words.append("-k")
    if address.auth:
        words += ["-H", "Authorization: Bearer TOKEN"]
    if address.method == "GET":
        words += [address.url]
        return shlex.join(words)
    if address.method != "POST":
        words += ["-X", address.method]
    body = _annotated(source) or json.dumps(
        example_body(source.checked.object.name, address.event, sensors)
    )
    words += ["-H", "Content-Type: application/json", "-d", body, address.url]
    return shlex.join(words)


# ---------------------------------------------------------------------------- an example

EXAMPLE = "tocsin.dev/example"
"""Annotation of an EventSource with a body for the line to try it."""


def _annotated(source: Wanted) -> str:
    annotations = source.checked.object.raw["metadata"].get("annotations") or {}
    text = annotations.get(EXAMPLE) if isinstance(annotations, dict) else None
    return " ".join(text.split()) if isinstance(text, str) else ""


_PLAIN = re.compile(r"body(\.[A-Za-z_][A-Za-z0-9_-]*)+")
_LITERAL = re.compile(r"[^\\^$.*+?()\[\]{}|]+")


def example_body(source: str, event: str, sensors: Sequence[Wanted]) -> dict[str, Any]:
    """Return a body that passes the data filters of the first Sensor that waits for the event.

    A guess from filters with plain paths and literal values; anything else does not show in it.
    """
    body: dict[str, Any] = {}
    for sensor in sensors:
        for dependency in sensor.checked.modern.raw["spec"].get("dependencies", []):
            if (dependency.get("eventSourceName"), dependency.get("eventName")) == (source, event):
                if not dependency.get("transform"):
                    for rule in (dependency.get("filters") or {}).get("data") or []:
                        _satisfy(body, rule)
                return body or {"hello": "world"}
    return {"hello": "world"}


def _satisfy(body: dict[str, Any], rule: dict[str, Any]) -> None:
    path, values = rule.get("path"), rule.get("value")
    if not isinstance(path, str) or not _PLAIN.fullmatch(path) or rule.get("template"):
        return
    first = values[0] if isinstance(values, list) and values else values
    value = _example(str(rule.get("type")), str(first), str(rule.get("comparator") or "="))
    *parents, last = path.split(".")[1:]
    for step in parents:
        body = body.setdefault(step, {})
        if not isinstance(body, dict):
            return
    if value is not None:
        body.setdefault(last, value)


def _example(kind: str, value: str, comparator: str) -> Any:
    """Return a value that a filter lets pass; None where that is not plain to see."""
    if kind == "bool":
        return (value == "true") is (comparator != "!=")
    if kind == "number":
        try:
            number = float(value)
        except ValueError:
            return None
        number += {">": 1, "<": -1, "!=": 1}.get(comparator, 0)
        return int(number) if number.is_integer() else number
    if kind == "string" and comparator == "=":
        literal = _LITERAL.fullmatch(value.removeprefix("^").removesuffix("$"))
        return literal[0] if literal else None
    return None
