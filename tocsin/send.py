"""`tocsin send`: put an event on the bus, as an event source would."""

import asyncio
import difflib
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from spine.errors import ConfigError, EventError
from tocsin.bus_options import bus_options, opened, running

WEBHOOK = "webhook"


@click.command("send")
@click.argument("topic", metavar="SOURCE/EVENT")
@click.option(
    "-d",
    "--data",
    required=True,
    metavar="JSON|@FILE|-",
    help="The body: JSON text, @FILE, or - for standard input.",
)
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="A header of the request, for a webhook. May be repeated.",
)
@click.option("--raw", is_flag=True, help="Send the data as it is, not as the body of a request.")
@click.option(
    "--id",
    "identity",
    default="",
    metavar="ID",
    help="Id of the event; one that was sent in the last minutes is not taken twice.",
)
@click.option(
    "--type",
    "kind",
    default="",
    metavar="KIND",
    help="Kind of event source, such as webhook; else that of the run.",
)
@bus_options
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    topic: str,
    data: str,
    headers: tuple[str, ...],
    raw: bool,
    identity: str,
    kind: str,
    folder: Path,
    bus: str,
    bus_name: str,
) -> None:
    """Put an event on the bus, as event source SOURCE would for its event EVENT.

    The data becomes the body of a webhook's payload, {"header": …, "body": DATA}; with --raw, and
    for other kinds of sources, it is the payload itself. Finds the bus of the `tocsin run` in
    this folder. Prints the id of the event once it is stored.

    \b
    Examples:
      tocsin send hook/example -d '{"n": 1}'
      tocsin send hook/example -d @body.json -H 'X-Team: web'
      echo '{"n": 1}' | tocsin send hook/example -d - --bus nats://127.0.0.1:4222
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    source, slash, event = topic.partition("/")
    if not (source and slash and event) or "/" in event:
        raise ConfigError(f"reading {topic!r}: not of the form SOURCE/EVENT")
    run = running(folder, bus)
    known = _known(run, source, event)
    if kind:
        _warn_of_kind(run, kind)
    kind = kind or known or WEBHOOK
    if run and not known:
        _warn_unknown(run, topic)
    body = _json(data)
    payload = body if raw or kind != WEBHOOK else _request(body, headers)
    asyncio.run(_send(run, bus, bus_name or _bus_of(run, source), (source, event, kind), identity,
                      payload))  # fmt: skip


async def _send(
    run: dict[str, Any],
    bus: str,
    bus_name: str,
    topic: tuple[str, str, str],
    identity: str,
    payload: bytes,
) -> None:
    from spine.event import Event, new_id

    source, name, kind = topic
    event = Event(
        id=identity or new_id(),
        source=source,
        type=kind,
        subject=name,
        time=datetime.now(UTC),
        data=payload,
    )
    async with opened(run, bus, bus_name) as found:
        try:
            await found.publish(event)
        except EventError as exc:  # it can never pass: its name, or its size
            raise ConfigError(exc.message, hint=exc.hint) from exc
    click.echo(event.id)


def _json(data: str) -> bytes:
    """Return the data of the option as it is written. Raises ConfigError if it is not JSON."""
    import orjson

    if data in {"-", "@-"}:
        where, content = "standard input", sys.stdin.buffer.read()
    elif data.startswith("@"):
        where = data[1:]
        try:
            content = Path(where).read_bytes()
        except OSError as exc:
            raise ConfigError(f"reading {where}: {exc.strerror}") from exc
    else:
        where, content = "--data", data.encode()
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        shown = content[:40].decode(errors="replace")
        raise ConfigError(
            f"reading {where} {shown!r}: not JSON: {exc}", hint="a text is JSON in quotes: '\"x\"'"
        ) from exc
    return content.strip()


def _request(body: bytes, headers: tuple[str, ...]) -> bytes:
    """Return the payload of a webhook."""
    from eventsource.headers import encode
    from eventsource.sources.webhook import Delivery

    lines = [(b"content-type", b"application/json")]
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise ConfigError(f"reading --header {header!r}: not of the form 'NAME: VALUE'")
        line = (name.strip().lower().encode(), value.strip().encode())
        if line[0] == b"content-type":
            lines[0] = line
        else:
            lines.append(line)
    return Delivery(encode(lines, distinct=False), body).encode()


# ---------------------------------------------------------------------------- what runs


def _sources(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in run.get("processes", []) if p["kind"] == "EventSource"]


def _known(run: dict[str, Any], source: str, event: str) -> str:
    """Return the kind of an event that the run has, else an empty text."""
    found = (p["events"].get(event, "") for p in _sources(run) if p["name"] == source)
    return next((kind for kind in found if kind), "")


def _bus_of(run: dict[str, Any], source: str) -> str:
    return next((p["bus"] for p in _sources(run) if p["name"] == source), "")


def _warn_of_kind(run: dict[str, Any], kind: str) -> None:
    """Say so where no event source sends events of a kind, and no Sensor of the run names it."""
    from eventsource.spec import EventSourceSpec, Unbuilt, kinds
    from tocsin.seen import near

    fields = EventSourceSpec.model_fields.values()
    later = {str(field.alias) for field in fields if field.annotation == Unbuilt}
    known = {one.type for one in kinds().values()} | later
    if kind not in {*known, *_awaited(run)}:
        said = f"no kind of event source is called {kind!r} ({near(kind, known)})"
        click.echo(f"tocsin: {said}; sending it all the same", err=True)


def _awaited(run: dict[str, Any]) -> Iterator[str]:
    """Yield the types that filters of the run's Sensors ask for."""
    from spine.manifest import read

    with suppress(ConfigError):  # a file that is being written
        for one in read(run.get("manifests", [])).objects:
            dependencies = one.raw["spec"].get("dependencies") if one.kind == "Sensor" else None
            for dependency in dependencies if isinstance(dependencies, list) else ():
                with suppress(KeyError, TypeError):
                    yield str(dependency["filters"]["context"]["type"])


def _warn_unknown(run: dict[str, Any], topic: str) -> None:
    known = [f"{p['name']}/{event}" for p in _sources(run) for event in p["events"]]
    near = difflib.get_close_matches(topic, known, n=1)
    hint = f"did you mean {near[0]}" if near else f"it has {', '.join(known) or 'none'}"
    click.echo(f"tocsin: the run has no {topic} ({hint}); sending it all the same", err=True)
