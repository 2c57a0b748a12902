"""Functions on types, encodings and times."""

import base64
import binascii
from typing import Any

from spine.lang import EvaluationError, gofmt, govalue
from spine.lang.exprlang.builtins.signature import TEXT, Signature, function, text, unfit
from spine.lang.exprlang.json import indented, measure, read_json
from spine.lang.exprlang.nodes import DURATION, STRING, TIME, UNKNOWN, ZONE
from spine.lang.exprlang.values import Budget, Duration, type_name
from spine.lang.gotime import LAYOUTS, Time, Zone, parse_duration, parse_time, zone

_FORMATS = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    *(LAYOUTS[name] for name in ("RFC3339", "RFC822", "RFC850", "RFC1123")),
]
_SLOW = 8
"""Steps of what takes so many times as long as a closure."""
_LAYOUT, _ZONE = 2, 3
"""Numbers of arguments with which `date` is called."""


def _string(budget: Budget, value: Any) -> str:
    measure(value, budget)
    return gofmt.verb_v(value)


def _type(budget: Budget, value: Any) -> str:
    del budget
    return type_name(value)


# ---------------------------------------------------------------------------- JSON, base 64


def _to_json(budget: Budget, value: Any) -> str:
    measure(value, budget)
    return indented(value)


def _from_json(budget: Budget, value: Any) -> Any:
    source = text("fromJSON", value)
    budget.read(source)
    found = read_json(source)
    measure(found, budget)
    return found


def _to_base64(budget: Budget, value: Any) -> str:
    budget.read(text("toBase64", value))
    return base64.b64encode(govalue.encode(value)).decode()


def _from_base64(budget: Budget, value: Any) -> str:
    budget.read(text("fromBase64", value))
    try:
        data = value.encode("ascii").replace(b"\n", b"").replace(b"\r", b"")
        return govalue.decode(base64.b64decode(data, validate=True))
    except (ValueError, binascii.Error) as exc:
        raise EvaluationError(f"it is not base 64: {exc}") from None


# ---------------------------------------------------------------------------- times


def _now(budget: Budget, *where: Any) -> Time:
    del budget
    when = Time.now()
    if not where:
        return when
    if not _is_zone(where[0]):
        raise unfit("now", where[0])
    return when.within(where[0])


def _is_zone(value: Any) -> bool:
    return hasattr(value, "at") and not isinstance(value, str)


def _duration(budget: Budget, value: Any) -> Duration:
    del budget
    return parse_duration(text("duration", value))


def _date(budget: Budget, *given: Any) -> Time:
    """Read a time: `date(text)`, `date(text, layout)`, `date(text, layout, zone)`."""
    budget.step(_SLOW)
    where: Zone | None = None
    args = list(given)
    if args and _is_zone(args[0]):
        where = args.pop(0)
    if not args:
        raise EvaluationError("date needs a text")
    source = text("date", args[0])
    if len(args) >= _ZONE:
        where = zone(text("date", args[2]))
    if len(args) >= _LAYOUT:
        return parse_time(text("date", args[1]), source, where)
    for layout in _FORMATS:
        try:
            return parse_time(layout, source, where)
        except EvaluationError:
            continue
    raise EvaluationError(f"date does not know how to read {source!r:.100}")


def _timezone(budget: Budget, name: Any) -> Zone:
    del budget
    return zone(text("timezone", name))


_ZONED = frozenset(["string", "zone"])

BOTH: dict[str, Signature] = {
    "type": function(_type, None, gives=STRING),
    "string": function(_string, None, gives=STRING),
    "toJSON": function(_to_json, None, gives=STRING),
    "fromJSON": function(_from_json, TEXT, gives=UNKNOWN),
    "toBase64": function(_to_base64, TEXT, gives=STRING),
    "fromBase64": function(_from_base64, TEXT, gives=STRING),
    "duration": function(_duration, TEXT, gives=DURATION),
}
OLD: dict[str, Signature] = {
    "now": function(_now, gives=TIME),
    "date": function(_date, TEXT, TEXT, TEXT, gives=TIME, least=1),
}
NEW: dict[str, Signature] = {
    "now": function(_now, frozenset(["zone"]), gives=TIME, least=0),
    "date": function(_date, None, None, None, None, gives=TIME, least=1),
    "timezone": function(_timezone, TEXT, gives=ZONE),
}
