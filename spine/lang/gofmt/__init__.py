"""Texts of values as Go's fmt makes them: `%v`, Sprintf, Sprint.

What programs print becomes a parameter, a key or a message, so letters matter: `1e+06`,
`map[a:1 b:2]`, `%!d(string=x)`. Values are those of spine.lang.govalue. Nesting too deep to
be written raises EvaluationError.
"""

import re
from collections.abc import Sequence

from spine.lang import EvaluationError
from spine.lang.gofmt.floats import shortest
from spine.lang.gofmt.quoting import quote, unquote
from spine.lang.gofmt.verbs import Spec, check_size, write

__all__ = ["quote", "sprint", "sprintf", "sprintln", "unquote", "verb_v"]

_WIDEST = 1_000_000
"""Widths and precisions beyond it are refused by Go."""
_V = Spec("v")
_LITERAL = re.compile("[^%]+")
_SIMPLE = re.compile(r"([#0+\- ]*)([a-zA-Z])")


def verb_v(value: object) -> str:
    """Return a value as `%v` writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return shortest(value)
    try:
        return write(value, _V)
    except RecursionError:
        raise EvaluationError("writing a value: it is nested too deeply") from None


def sprint(values: Sequence[object]) -> str:
    """Return values one after another, with a space between two of which neither is a text."""
    out: list[str] = []
    text = True
    for index, value in enumerate(values):
        is_text = isinstance(value, str)
        if index and not is_text and not text:
            out.append(" ")
        out.append(verb_v(value))
        text = is_text
    return "".join(out)


def sprintln(values: Sequence[object]) -> str:
    """Return values with spaces between them, and a line feed."""
    return " ".join(map(verb_v, values)) + "\n"


def sprintf(format: str, values: Sequence[object]) -> str:
    """Return a format with values in the place of its verbs; mistakes show in the text."""
    try:
        return _Printing(format, values).run()
    except RecursionError:
        raise EvaluationError("writing a value: it is nested too deeply") from None


class _Printing:
    """One call of Sprintf."""

    def __init__(self, format: str, values: Sequence[object]) -> None:
        self.format = format
        self.values = values
        self.at = 0
        self.next = 0
        """Index of the value that the next verb takes."""
        self.reordered = False
        self.good = True
        self.out: list[str] = []

    def run(self) -> str:
        end = len(self.format)
        while self.at < end:
            literal = _LITERAL.match(self.format, self.at)
            if literal is not None:
                self.out.append(literal[0])
                self.at = literal.end()
            if self.at < end:
                self.at += 1
                self._verb()
        if not self.reordered and self.next < len(self.values):
            extra = ", ".join(map(_extra, self.values[self.next :]))
            self.out.append(f"%!(EXTRA {extra})")
        return "".join(self.out)

    def _verb(self) -> None:
        self.good = True
        simple = _SIMPLE.match(self.format, self.at)
        if simple is not None:
            self.at = simple.end()
            self._value(_flagged(simple[1], simple[2]))
            return
        flags = ""
        while self.format[self.at : self.at + 1] and self.format[self.at] in "#0+- ":
            flags += self.format[self.at]
            self.at += 1
        spec = _flagged(flags, "")
        indexed = self._index()
        spec, indexed = self._width(spec, indexed)
        spec, indexed = self._precision(spec, indexed)
        if not indexed:
            self._index()
        if self.at >= len(self.format):
            self.out.append("%!(NOVERB)")
            return
        verb = self.format[self.at]
        self.at += 1
        self._value(spec._replace(verb=verb).tidy())

    def _value(self, spec: Spec) -> None:
        if spec.verb == "%":
            self.out.append("%")
        elif not self.good:
            self.out.append(f"%!{spec.verb}(BADINDEX)")
        elif self.next >= len(self.values):
            self.out.append(f"%!{spec.verb}(MISSING)")
        else:
            value = self.values[self.next]
            if spec.width is not None or spec.precision is not None:
                check_size(value, spec)
            self.out.append(write(value, spec))
            self.next += 1

    def _index(self) -> bool:
        """Take an explicit index such as `[2]`; say whether one was there."""
        if self.format[self.at : self.at + 1] != "[":
            return False
        self.reordered = True
        close = self.format.find("]", self.at)
        if close < 0 or len(self.format) - self.at < 3:  # noqa: PLR2004 -- as short as [1]
            self.good = False
            self.at += 1
            return False
        text = self.format[self.at + 1 : close]
        self.at = close + 1
        if not re.fullmatch("[0-9]{1,7}", text):
            self.good = False
            return False
        if 0 < int(text) <= len(self.values):
            self.next = int(text) - 1
        else:
            self.good = False
        return True

    def _width(self, spec: Spec, indexed: bool) -> tuple[Spec, bool]:
        if self.format[self.at : self.at + 1] == "*":
            self.at += 1
            width = self._star()
            if width is None:
                self.out.append("%!(BADWIDTH)")
            elif width < 0:
                return spec._replace(width=-width, minus=True, zero=False), False
            return spec._replace(width=width), False
        width = self._number()
        if indexed and width is not None:
            self.good = False
        return spec._replace(width=width), indexed

    def _precision(self, spec: Spec, indexed: bool) -> tuple[Spec, bool]:
        if self.format[self.at : self.at + 1] != "." or self.at + 1 == len(self.format):
            return spec, indexed
        self.at += 1
        if indexed:
            self.good = False
        indexed = self._index()
        if self.format[self.at : self.at + 1] == "*":
            self.at += 1
            precision = self._star()
            if precision is None or precision < 0:
                self.out.append("%!(BADPREC)")
                precision = None
            return spec._replace(precision=precision), False
        return spec._replace(precision=self._number() or 0), indexed

    def _number(self) -> int | None:
        match = re.compile("[0-9]+").match(self.format, self.at)
        if match is None:
            return None
        if len(match[0]) > 7 or int(match[0]) > _WIDEST:  # noqa: PLR2004 -- digits of the widest
            raise EvaluationError(f"writing with format {self.format[:60]!r}: it is too wide")
        self.at = match.end()
        return int(match[0])

    def _star(self) -> int | None:
        """Take a width or a precision from the values; None if it is not one."""
        if self.next >= len(self.values):
            return None
        value = self.values[self.next]
        self.next += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _WIDEST:
            return None
        return int(value)


def _flagged(flags: str, verb: str) -> Spec:
    if not flags:
        return Spec(verb)
    return Spec(verb, "#" in flags, "0" in flags, "+" in flags, "-" in flags, " " in flags).tidy()


def _extra(value: object) -> str:
    from spine.lang.govalue import type_name

    return "<nil>" if value is None else f"{type_name(value)}={verb_v(value)}"
