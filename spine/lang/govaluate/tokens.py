"""The tokens of govaluate, and which may follow which."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from spine.errors import ConfigError
from spine.lang import EvaluationError, gotime, regex
from spine.lang.gonumber import parse_float


class SyntaxFault(Exception):
    """A text is no expression; `at` is the offset of the letter where that shows."""

    def __init__(self, at: int, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.at = at
        self.hint = hint


class Token(NamedTuple):
    """One token."""

    kind: str
    """number, bool, text, date, pattern, name, field, open, close, sign, prefix, comparison, logic,
    ternary or comma."""
    value: Any
    at: int
    """Offset of its first letter."""


_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
_QUOTES = frozenset("'\"")
_MARKS = {"(": "open", ")": "close", ",": "comma", "[": "name"}
_LONGEST = 100_000

_KINDS = {
    **dict.fromkeys(["+", "-", "*", "/", "%", "**", "&", "|", "^", "<<", ">>"], "sign"),
    **dict.fromkeys(["==", "!=", "<", "<=", ">", ">=", "=~", "!~"], "comparison"),
    **dict.fromkeys(["&&", "||"], "logic"),
    **dict.fromkeys(["?", ":", "??"], "ternary"),
}
_PREFIXES = frozenset("-!~")

_VALUES = frozenset(["number", "bool", "text", "date", "name", "open"])
_OPERATORS = frozenset(["sign", "comparison", "logic", "ternary", "comma"])
_AFTER_OPERATOR = _VALUES | {"prefix", "field"}
_AFTER_VALUE = _OPERATORS | {"close"}

_FOLLOWS: dict[str, frozenset[str]] = {
    "": _AFTER_OPERATOR,
    "open": _AFTER_OPERATOR | {"close"},
    "close": _AFTER_VALUE | _VALUES,
    "number": _AFTER_VALUE,
    "bool": _AFTER_VALUE,
    "text": _AFTER_VALUE,
    "pattern": _AFTER_VALUE,
    "date": _AFTER_VALUE - {"ternary"},
    "name": _AFTER_VALUE,
    "field": _AFTER_VALUE | {"open"},
    "sign": (_AFTER_OPERATOR | {"close"}) - {"date"},
    "prefix": frozenset(["number", "bool", "name", "field", "open", "close"]),
    "comparison": _AFTER_OPERATOR | {"close"},
    "logic": _AFTER_OPERATOR | {"close"},
    "ternary": _AFTER_OPERATOR,
    "comma": _AFTER_OPERATOR,
}
"""Kind of token -> kinds that may follow it; the first follows the empty one."""

_HINTS = {
    "=": "write == to compare",
    "and": "write && for and",
    "or": "write || for or",
    "not": "write ! for not",
    "matches": "write =~ to search for a pattern",
    "contains": "write =~ to search for a pattern",
    "startsWith": 'write =~ "^…" to search for a pattern',
    "endsWith": 'write =~ "…$" to search for a pattern',
    "===": "write == to compare",
    "!==": "write != to compare",
    "<>": "write != to compare",
    "“": "write plain quotes",
    "”": "write plain quotes",
}


def read(text: str) -> list[Token]:
    """Return the tokens of an expression. Raises SyntaxFault."""
    if len(text) > _LONGEST:
        raise SyntaxFault(0, f"it is longer than {_LONGEST} letters")
    reader = _Reader(text)
    tokens: list[Token] = []
    before = ""
    while (token := reader.next(before)) is not None:
        _check_order(tokens[-1] if tokens else None, token)
        if token.kind == "text" and tokens and tokens[-1].value in ("=~", "!~"):
            token = Token("pattern", _pattern(token), token.at)
        tokens.append(token)
        before = token.kind
    _check_end(tokens, text)
    return tokens


def _check_order(before: Token | None, token: Token) -> None:
    if token.kind in _FOLLOWS["" if before is None else before.kind]:
        return
    hint = _HINTS.get(str(token.value), "")
    if before is None:
        raise SyntaxFault(token.at, f"an expression cannot begin with {_shown(token)}", hint)
    if before.kind == "name" and token.kind == "open":
        raise SyntaxFault(before.at, f"there is no function {before.value}: there are none")
    hint = hint or _HINTS.get(str(before.value), "")
    raise SyntaxFault(token.at, f"{_shown(token)} cannot follow {_shown(before)}", hint)


def _check_end(tokens: list[Token], text: str) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            opened.append(token)
        elif token.kind == "close":
            if not opened:
                raise SyntaxFault(token.at, "there is no ( for this )")
            opened.pop()
    if opened:
        raise SyntaxFault(opened[-1].at, "there is no ) for this (")
    if not tokens:
        raise SyntaxFault(0, "it is empty")
    if tokens[-1].kind in _OPERATORS | {"prefix"}:
        raise SyntaxFault(len(text), f"something is missing after {_shown(tokens[-1])}")


def _shown(token: Token) -> str:
    if token.kind == "text":
        return f'"{token.value}"'
    if token.kind == "number":
        return f"{token.value:g}"
    return str(token.value).lower() if token.kind == "bool" else str(token.value)


def _pattern(token: Token) -> regex.Pattern:
    try:
        return regex.compile(token.value)
    except ConfigError as exc:
        raise SyntaxFault(token.at, exc.message, exc.hint) from exc


# ---------------------------------------------------------------------------- letters


def _is_numeric(letter: str) -> bool:
    return letter.isdecimal() or letter == "."


def _is_hex(letter: str) -> bool:
    return letter.isdecimal() or letter.lower() in "abcdef"


def _is_name(letter: str) -> bool:
    return letter.isalpha() or letter.isdecimal() or letter in "_."


def _is_operator(letter: str) -> bool:
    return not (letter.isalpha() or letter.isdecimal() or letter in "()[]'\"")


@dataclass
class _Reader:
    """Reads tokens from a text."""

    text: str
    at: int = 0

    def next(self, before: str) -> Token | None:
        """Return the next token, None at the end; `before` is the kind of the one before."""
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1
        if self.at >= len(self.text):
            return None
        start, letter = self.at, self.text[self.at]
        if _is_numeric(letter):
            return Token("number", self._number(), start)
        if letter.isalpha():
            return self._word()
        if letter in _QUOTES:
            return self._quoted()
        if letter in _MARKS:
            return self._mark(letter)
        return self._operator(before)

    def _while(self, belongs: Callable[[str], bool], *, spaced: bool = False) -> str:
        """Read letters that belong together; a backslash takes the next one, whatever it is.

        `spaced` says that spaces belong; elsewhere they end what has begun.
        """
        letters: list[str] = []
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == "\\":
                if self.at + 1 == len(self.text):
                    raise SyntaxFault(self.at, "nothing follows the backslash")
                letters.append(self.text[self.at + 1])
                self.at += 2
                continue
            if not spaced and letter in _SPACE:
                if letters:
                    break
            elif belongs(letter):
                letters.append(letter)
            else:
                break
            self.at += 1
        return "".join(letters)

    def _until(self, ends: Callable[[str], bool], missing: str) -> str:
        """Read what stands between two letters, of which the first is the next."""
        start = self.at
        self.at += 1
        found = self._while(lambda letter: not ends(letter), spaced=True)
        if self.at >= len(self.text):
            raise SyntaxFault(start, missing)
        self.at += 1
        return found

    def _mark(self, letter: str) -> Token:
        start = self.at
        if letter == "[":
            name = self._until(lambda one: one == "]", "there is no ] for this [")
            return Token("name", name, start)
        self.at += 1
        return Token(_MARKS[letter], letter, start)

    def _number(self) -> float:
        start = self.at
        if self.text.startswith("0x", start) and len(self.text) > start + 2:
            self.at += 2
            digits = self._while(_is_hex)
            if not digits.isascii() or not digits or len(digits.lstrip("0")) > 16:  # noqa: PLR2004 -- 64 bits
                raise SyntaxFault(start, f"0x{digits} is no number of 64 bits")
            return float(int(digits, 16))
        digits = self._while(_is_numeric)
        value = parse_float(digits)
        if value is None or math.isinf(value):
            raise SyntaxFault(start, f"{digits} is no number")
        return value

    def _word(self) -> Token:
        start = self.at
        word = self._while(_is_name)
        if word in ("true", "false"):
            return Token("bool", word == "true", start)
        if word in ("in", "IN"):
            return Token("comparison", "in", start)
        if "." not in word:
            return Token("name", word, start)
        if word.endswith("."):
            raise SyntaxFault(start, f"a field is missing after {word}")
        if any(part[:1].upper() != part[:1] for part in word.split(".")[1:]):
            raise SyntaxFault(
                start, f"{word}: values have no fields", f"bind a name to the path: path: {word}"
            )
        return Token("field", word, start)

    def _quoted(self) -> Token:
        start = self.at
        found = self._until(_QUOTES.__contains__, "there is no quote at the end of this text")
        moment = _moment(found)
        if moment is None:
            return Token("text", found, start)
        return Token("date", (found, moment), start)

    def _operator(self, before: str) -> Token:
        start = self.at
        sign = self._while(_is_operator)
        if sign in _PREFIXES and "prefix" in _FOLLOWS[before]:
            return Token("prefix", sign, start)
        kind = _KINDS.get(sign)
        if kind is None:
            hint = _HINTS.get(sign, "")
            if len(sign) > 1 and sign[-1:] in _PREFIXES and sign[:-1] in _KINDS:
                hint = f"put a space between them: {sign[:-1]} {sign[-1]}"
            raise SyntaxFault(start, f"there is no operator {sign}", hint)
        return Token(kind, sign, start)


# ---------------------------------------------------------------------------- dates

_LAYOUTS = (
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "3:04PM",
    "2006-01-02T15:04:05Z07:00",
    "2006-01-02T15:04:05.999999999Z07:00",
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02T15Z0700",
    "2006-01-02T15:04Z0700",
    "2006-01-02T15:04:05Z0700",
    "2006-01-02T15:04:05.999999999Z0700",
)
"""Texts that are numbers: those of Go's time package, and of ISO 8601 with or without an hour."""


@lru_cache(maxsize=256)
def _moment(text: str) -> float | None:
    """Return the seconds since 1970 of a text that looks like a date, None if it does not.

    The peer reads a date without a zone in the zone of its process, which is UTC in its image.
    """
    if ":" not in text and "-" not in text:
        return None
    for layout in _LAYOUTS:
        try:
            return float(gotime.parse_time(layout, text).unix)
        except EvaluationError:
            continue
    return None
