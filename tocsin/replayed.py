"""What `tocsin replay` found, in lines for a person and as JSON: counts first, then examples."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sensor.wording import clock, deed, masked
from tocsin.replaying import BEFORE, NOW, shown
from tocsin.report import plural

if TYPE_CHECKING:
    from tocsin.replay import Asked, Replayed
    from tocsin.replaying import Difference, Side, Tally

WIDTH = 12


def lines(asked: "Asked", replayed: "Replayed") -> Iterator[str]:
    """Yield the lines for a person."""
    yield from _events(asked, replayed)
    for side in replayed.sides:
        yield ""
        yield click.style(f"{side.plan.name}, {side.title}", bold=True)
        yield from _tally(side.tally)
    if asked.diff:
        yield ""
        yield from _difference(replayed.difference, replayed.sides)


def _row(word: str, text: str) -> str:
    return f"{word:<{WIDTH}}{text}"


def _events(asked: "Asked", replayed: "Replayed") -> Iterator[str]:
    total = sum(replayed.events.values())
    when = "ever kept" if asked.since == "all" else f"of the last {asked.since}"
    first = f", the first at {clock(replayed.first)}" if replayed.first else ""
    yield _row("replayed", f"{plural(total, 'event')} {when}{first}")
    for topic, count in sorted(replayed.events.items(), key=lambda one: -one[1]):
        yield _row("", f"{count:>9,}  {topic}")
    if replayed.unreadable:
        yield _row("", f"{replayed.unreadable:>9,}  that no CloudEvents are")


def _tally(tally: "Tally") -> Iterator[str]:
    total = sum(tally.fired.values())
    yield _row("fires", f"{plural(total, 'action')} at {plural(tally.firing, 'event')}")
    for trigger, count in tally.fired.most_common():
        yield _row("", f"{count:>9,}  trigger {trigger}")
    if tally.ended:
        yield _row("ends at", "")
    for place, group in sorted(tally.ended.items(), key=lambda one: -one[1].count):
        identity, text = group.samples[0]
        said = f": {text}" if text else ""
        yield _row("", f"{group.count:>9,}  {place.where}, {place.code}, such as {identity}{said}")


def _difference(difference: "Difference", sides: "list[Side]") -> Iterator[str]:
    changed = sum(group.count for group in difference.changed.values())
    gone, new = (sum(g.count for g in groups.values()) for groups in difference.only)
    yield click.style(
        f"{difference.same:,} actions are the same; {changed:,} are others, {new:,} are new, "
        f"{gone:,} are gone",
        fg="green" if not difference.count else "yellow",
        bold=True,
    )
    for kind, group in sorted(difference.changed.items(), key=lambda one: -one[1].count):
        places = f" at {', '.join(kind.paths)}" if kind.paths else ""
        where = f"trigger {kind.trigger}{places}" if kind.trigger else "many kinds of changes"
        yield _row("other", f"{group.count:>9,}  {where}")
        for ids, changes in group.samples:
            yield _row("", f"{'':>11}{', '.join(ids)}")
            for change in changes:
                told = f"{shown(change.before)} -> {shown(change.now)}"
                yield _row("", f"{'':>13}{change.path}: {told}")
    for word, side, said in (("new", NOW, "would"), ("gone", BEFORE, "would no more")):
        groups = difference.only[side]
        for trigger, group in sorted(groups.items(), key=lambda one: -one[1].count):
            absent = trigger not in sides[1 - side].plan.triggers
            other = f", which {sides[1 - side].title} does not have" if absent else ""
            yield _row(word, f"{group.count:>9,}  trigger {trigger}{other}")
            for one in group.samples:
                ids = ", ".join(one.action.events.values())
                yield _row("", f"{'':>11}{ids}: {said} {deed(one.action)}")
                if one.why:
                    yield _row("", f"{'':>13}{'before' if side == NOW else 'now'}: {one.why}")


# ---------------------------------------------------------------------------- JSON


def as_json(asked: "Asked", replayed: "Replayed") -> dict[str, Any]:
    """Return what was found as JSON."""
    found: dict[str, Any] = {
        "since": asked.since,
        "events": replayed.events,
        "first": replayed.first or None,
        "unreadable": replayed.unreadable,
        "sensors": [_side(side) for side in replayed.sides],
    }
    if asked.diff:
        found["difference"] = _diff(replayed.difference)
    return found


def _side(side: "Side") -> dict[str, Any]:
    ended = [
        {
            "where": place.where,
            "code": place.code,
            "count": group.count,
            "samples": [{"event": one, "detail": text} for one, text in group.samples],
        }
        for place, group in side.tally.ended.items()
    ]
    return {
        "sensor": side.plan.name,
        "file": side.title,
        "firing": side.tally.firing,
        "fired": dict(side.tally.fired),
        "ended": ended,
    }


def _diff(difference: "Difference") -> dict[str, Any]:
    changed = [
        {
            "trigger": kind.trigger,
            "count": group.count,
            "samples": [
                {
                    "events": list(ids),
                    "changes": [
                        {"path": c.path, "before": shown(c.before, 1000), "now": shown(c.now, 1000)}
                        for c in changes
                    ],
                }
                for ids, changes in group.samples
            ],
        }
        for kind, group in difference.changed.items()
    ]
    gone, new = (
        [
            {
                "trigger": trigger,
                "count": group.count,
                "samples": [
                    {
                        "events": one.action.events,
                        "would": deed(one.action),
                        "content": masked(one.action.content),
                        "other": one.why,
                    }
                    for one in group.samples
                ],
            }
            for trigger, group in groups.items()
        ]
        for groups in difference.only
    )
    return {"same": difference.same, "changed": changed, "new": new, "gone": gone}
