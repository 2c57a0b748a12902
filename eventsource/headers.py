"""HTTP headers as they stand in payloads: canonical Go names, arrays of values, sorted.

Senders repeat themselves, so the JSON of each header line is made once and remembered; what a
request then costs is a look-up for each line and one sort.
Format: the `http.Header` of Go, where `Host` and `Transfer-Encoding` are not among the headers.
"""

from collections.abc import Sequence

from spine.lang import gojson

Line = tuple[bytes, bytes]
"""Name in lower case, and value."""

MASK = "*** Masked Auth Secret ***"
"""What stands for a credential."""

_SECRET = frozenset({b"authorization", b"proxy-authorization"})
_ABSENT = frozenset({b"host", b"transfer-encoding", b"trailer"})
_REMEMBERED = 4096
"""Lines; a flood of different ones starts afresh instead of growing."""
_LONG = 512
"""Bytes of a value from which it is not worth remembering."""

_lines: dict[Line, tuple[str, bytes] | None] = {}


def canonical(name: bytes) -> str:
    """Return `X-Github-Event` for `x-github-event`."""
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def encode(lines: Sequence[Line], distinct: bool) -> bytes:
    """Return the JSON object of headers; `distinct` says that no name occurs twice."""
    try:
        members = [_lines[line] for line in lines]
    except KeyError:
        members = [_member(line) for line in lines]
    if not distinct:
        return _merged(lines)
    return b"{" + b",".join([m[1] for m in sorted(filter(None, members))]) + b"}"


def _member(line: Line) -> tuple[str, bytes] | None:
    """Return name and JSON of a header line, None for one that is not shown."""
    if line in _lines:
        return _lines[line]
    name, value = line
    if name in _ABSENT:
        member = None
    else:
        shown = canonical(name)
        member = (shown, b"%b:[%b]" % (gojson.quote(shown), _value(name, value)))
    if len(_lines) >= _REMEMBERED:
        _lines.clear()
    if len(value) < _LONG and name not in _SECRET:
        _lines[line] = member
    return member


def _value(name: bytes, value: bytes) -> bytes:
    if value and name in _SECRET:
        return gojson.quote(MASK)
    try:
        text = value.decode()
    except UnicodeDecodeError:  # one replacement for each bad byte, as Go does
        text = "".join(
            "\ufffd" if "\udc80" <= c <= "\udcff" else c
            for c in value.decode(errors="surrogateescape")
        )
    return gojson.quote(text)


def _merged(lines: Sequence[Line]) -> bytes:
    values: dict[str, list[bytes]] = {}
    for name, value in lines:
        if name not in _ABSENT:
            values.setdefault(canonical(name), []).append(_value(name, value))
    return b"{%b}" % b",".join(
        b"%b:[%b]" % (gojson.quote(name), b",".join(values[name])) for name in sorted(values)
    )
