"""Verbs: how one value is written for a `%` with its flags.

A width or a precision counts for every element of a list, so what they could come to is reckoned
before anything is written.
"""

from collections.abc import Callable
from typing import NamedTuple

from spine.lang import EvaluationError
from spine.lang.gofmt.floats import written
from spine.lang.gofmt.quoting import can_backquote, quote
from spine.lang.gotime import Duration, Month, Time, Weekday
from spine.lang.govalue import Byte, encode, type_name, value_of

_ADDRESS = "0xc000000000"
"""Printed for every address: there are none, and no two runs of Go agree."""
_BASES = {"v": 10, "d": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_LARGEST_RUNE = 0x10FFFF
_TEXT_VERBS = frozenset("vsxXq")
_NAMED = (Time, Duration, Month, Weekday)


class Spec(NamedTuple):
    """What stands between the percent sign and its letter."""

    verb: str
    sharp: bool = False
    zero: bool = False
    plus: bool = False
    minus: bool = False
    space: bool = False
    width: int | None = None
    precision: int | None = None
    source: bool = False
    """Whether values are written as in a Go program: `%#v`."""

    def pad(self, text: str, *, zeros: bool = True) -> str:
        """Return a text filled up to the width, on the left unless there is a minus."""
        missing = 0 if self.width is None else self.width - len(text)
        if missing <= 0:
            return text
        if self.minus:
            return text + " " * missing
        return ("0" if zeros and self.zero else " ") * missing + text

    def tidy(self) -> "Spec":
        """Return it as `%#v` and `%+v` mean it: no prefix and no sign for them."""
        if self.verb != "v" or not (self.sharp or self.plus):
            return self
        return self._replace(source=self.sharp, sharp=False, plus=False)


def write(value: object, spec: Spec, depth: int = 0) -> str:
    """Return a value as a verb writes it; what does not fit the verb says so, as in Go."""
    if value is None:
        return _nil(spec, depth)
    if spec.verb == "T":
        return spec.pad(_cut(type_name(value), spec))
    if spec.verb == "p":
        return _pointer(value, spec)
    if spec.verb == "w" and not depth:
        return bad(value, spec)
    writer = _WRITERS.get(type(value))
    if writer is None:
        writer = _of(value)
    return writer(value, spec, depth)


_LARGEST_TEXT = 8_000_000
"""Letters that widths and precisions of one verb may come to."""


def check_size(value: object, spec: Spec) -> None:
    """Raise EvaluationError where a width or a precision would swell a value beyond measure."""
    each = (spec.width or 0) + (spec.precision or 0)
    if each > 64 and each * _leaves(value) > _LARGEST_TEXT:  # noqa: PLR2004 -- usual widths
        raise EvaluationError(f"writing a value with %{spec.verb}: it would be too wide")


def _leaves(value: object) -> int:
    if isinstance(value, list | tuple):
        return sum(map(_leaves, value))
    if isinstance(value, dict):
        return len(value) + sum(map(_leaves, value.values()))
    return len(value) if isinstance(value, bytes) else 1


def _nil(spec: Spec, depth: int) -> str:
    if depth:
        return "interface {}(nil)" if spec.source else "<nil>"
    return spec.pad("<nil>") if spec.verb in "Tv" else f"%!{spec.verb}(<nil>)"


def _pointer(value: object, spec: Spec) -> str:
    if isinstance(value, list | tuple | dict | bytes) or callable(value):
        return spec.pad(_ADDRESS)
    return bad(value, spec)


def bad(value: object, spec: Spec) -> str:
    """Return the text of a value that a verb does not take: `%!d(string=x)`."""
    plain = spec._replace(verb="v")
    if spec.verb == "w":
        plain = plain.tidy()
    return f"%!{spec.verb}({type_name(value)}={write(value, plain)})"


# ---------------------------------------------------------------------------- single values


def _bool(value: object, spec: Spec, _depth: int) -> str:
    return spec.pad("true" if value else "false") if spec.verb in "tv" else bad(value, spec)


def _integer(value: object, spec: Spec, _depth: int) -> str:
    assert isinstance(value, int)
    base = _BASES.get(spec.verb)
    if base is not None:
        if spec.source and isinstance(value, Byte):
            return spec.pad(f"0x{int(value):x}")
        return _digits(int(value), base, spec)
    match spec.verb:
        case "c":
            return spec.pad(_rune(value))
        case "q":
            return spec.pad(quote(_rune(value), ascii_only=spec.plus, mark="'"))
        case "U":
            return _unicode(int(value), spec)
    return bad(value, spec)


def _digits(value: int, base: int, spec: Spec) -> str:
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    least = 0
    if spec.precision is not None:
        least = spec.precision
        if least == 0 and value == 0:
            return " " * (spec.width or 0)
    elif spec.zero and not spec.minus and spec.width is not None:
        least = spec.width - len(sign)
    size = abs(value)
    digits = (str(size) if base == 10 else f"{size:{'bo_x'[(base + 1) // 5]}}").zfill(least)  # noqa: PLR2004 -- decimal
    if spec.verb == "X":
        digits = digits.upper()
    return spec.pad(sign + _prefix(digits, base, spec) + digits, zeros=False)


def _prefix(digits: str, base: int, spec: Spec) -> str:
    if spec.verb == "O":
        return "0o" + ("0" if spec.sharp and digits[0] != "0" else "")
    if not spec.sharp:
        return ""
    if base == 8:  # noqa: PLR2004 -- octal
        return "" if digits[0] == "0" else "0"
    return {2: "0b", 16: "0X" if spec.verb == "X" else "0x"}.get(base, "")


def _rune(code: int) -> str:
    if not 0 <= code <= _LARGEST_RUNE or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 -- surrogates
        return "\ufffd"
    return chr(code)


def _unicode(code: int, spec: Spec) -> str:
    size = code % 2**64
    text = f"U+{size:0{max(4, spec.precision or 0)}X}"
    if spec.sharp and size <= _LARGEST_RUNE and chr(size).isprintable():
        text += f" '{chr(size)}'"
    return spec.pad(text, zeros=False)


def _float(value: object, spec: Spec, _depth: int) -> str:
    assert isinstance(value, float)
    verb = spec.verb
    if verb not in "vbgGxXfFeE":
        return bad(value, spec)
    precision = spec.precision
    if precision is None and verb in "fFeE":
        precision = 6
    return _signed(value, "g" if verb == "v" else verb, precision, spec)


def _signed(value: float, verb: str, precision: int | None, spec: Spec) -> str:
    text = written(value, verb, precision)
    if text[0] not in "+-":
        text = "+" + text
    if spec.space and text[0] == "+" and not spec.plus:
        text = " " + text[1:]
    if text[1] in "IN":
        if text[1] == "N" and not spec.space and not spec.plus:
            text = text[1:]
        elif text[0] == "+" and not spec.plus and not spec.space:
            text = "+Inf"
        return spec.pad(text, zeros=False)
    if spec.sharp and verb != "b":
        text = _pointed(text, verb, precision)
    if not spec.plus and text[0] == "+":
        return spec.pad(text[1:])
    if spec.zero and not spec.minus and spec.width is not None:
        return text[0] + text[1:].rjust(spec.width - 1, "0")
    return spec.pad(text)


def _pointed(text: str, verb: str, precision: int | None) -> str:
    """Return a number with a decimal point and, for `%#g`, with all its zeros."""
    wanted = 0
    if verb in "gGx":
        wanted = 6 if precision is None else precision
    mark = {"x": "p", "X": "P"}.get(verb, "e" if verb.islower() else "E")
    body, found, tail = text.partition(mark)
    figures = body[1:].replace(".", "").lstrip("0")
    if verb in "xX":
        figures = body[2:].replace(".", "")  # the x counts, in Go too
    missing = wanted - len(figures)
    if "." not in body:
        if body[1:] == "0":
            missing -= 1
        body += "."
    return body + "0" * max(missing, 0) + found + tail


def _complex(value: object, spec: Spec, _depth: int) -> str:
    assert isinstance(value, complex)
    if spec.verb not in "vbgGxXfFeE":
        return bad(value, spec)
    plus = spec._replace(plus=True)
    return f"({_float(value.real, spec, 0)}{_float(value.imag, plus, 0)}i)"


def _cut(text: str, spec: Spec) -> str:
    return text if spec.precision is None else text[: spec.precision]


def _text(value: object, spec: Spec, _depth: int) -> str:
    assert isinstance(value, str)
    verb = spec.verb
    if verb == "s" or (verb == "v" and not spec.source):
        return spec.pad(_cut(value, spec))
    if verb in "vq":
        cut = _cut(value, spec)
        if verb == "q" and spec.sharp and can_backquote(cut):
            return spec.pad(f"`{cut}`")
        return spec.pad(quote(cut, ascii_only=spec.plus and verb == "q"))
    if verb in "xX":
        return _hex(encode(value), spec)
    return bad(value, spec)


def _hex(data: bytes, spec: Spec) -> str:
    data = data[: spec.precision]
    prefix = "0x" if spec.sharp else ""
    if not data:
        return spec.pad("")
    text = (" " + prefix).join(f"{byte:02x}" for byte in data) if spec.space else data.hex()
    text = prefix + text
    return spec.pad(text.upper() if spec.verb == "X" else text)


def _bytes(value: object, spec: Spec, depth: int) -> str:
    assert isinstance(value, bytes)
    if spec.source:
        return "[]byte{" + ", ".join(f"0x{byte:x}" for byte in value) + "}"
    if spec.verb in "sxXq":
        return _text(value.decode(errors="surrogateescape"), spec, depth)
    return "[" + " ".join(_integer(Byte(byte), spec, 1) for byte in value) + "]"


def _named(value: object, spec: Spec, depth: int) -> str:
    """Write what has a text of its own; a number where the verb wants one."""
    if spec.verb in _TEXT_VERBS and not spec.source:
        return _text(str(value), spec, depth)
    if isinstance(value, Time):
        return _text(str(value), spec._replace(verb="s"), depth)
    return _integer(value, spec, depth)


# ---------------------------------------------------------------------------- lists and maps


def _list(value: object, spec: Spec, depth: int) -> str:
    assert isinstance(value, list | tuple)
    parts = [write(item, spec, depth + 1) for item in value]
    if spec.source:
        return f"{type_name(value)}{{{', '.join(parts)}}}"
    return f"[{' '.join(parts)}]"


def _map(value: object, spec: Spec, depth: int) -> str:
    assert isinstance(value, dict)
    parts = [
        f"{write(value_of(key), spec, depth + 1)}:{write(value[key], spec, depth + 1)}"
        for key in sorted(value, key=_order)
    ]
    if spec.source:
        return f"{type_name(value)}{{{', '.join(parts)}}}"
    return f"map[{' '.join(parts)}]"


def _order(key: object) -> tuple[int, float, str]:
    """Return what keys are sorted by: nil, bools, numbers, then texts."""
    value = value_of(key)
    if value is None or isinstance(value, bool):
        return 0, -1 if value is None else value, ""
    if isinstance(value, int | float):
        return 1, value, ""
    return 2, 0, str(value)


def _other(value: object, spec: Spec, depth: int) -> str:
    """Write an object of ours by its own text; a function by the address that it has in Go."""
    if callable(value):
        return spec.pad(_ADDRESS)
    return _text(str(value), spec._replace(verb="s" if spec.verb == "v" else spec.verb), depth)


_Writer = Callable[[object, Spec, int], str]

_WRITERS: dict[type, _Writer] = {
    bool: _bool,
    int: _integer,
    float: _float,
    complex: _complex,
    str: _text,
    bytes: _bytes,
    list: _list,
    tuple: _list,
    dict: _map,
    **dict.fromkeys(_NAMED, _named),
}


def _of(value: object) -> _Writer:
    for parent in type(value).__mro__[1:]:
        if parent in _WRITERS:
            return _WRITERS[parent]
    return _other
