"""Words of an expression: from text to tokens, each with its place."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from spine.lang.exprlang.nodes import Dialect, SyntaxFault

IDENTIFIER, NUMBER, STRING = "name", "number", "string"
BYTES, OPERATOR, END = "bytes", "operator", "end"

_WORDS = frozenset(
    ["in", "not", "and", "or", "let", "matches", "contains", "startsWith", "endsWith"]
)
_LATER_WORDS = _WORDS | {"if", "else"}
_SPACE = re.compile(r"(?:[\s\x85\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*|\$[\w$]*|[^\W\d][\w$]*")
_REST_OF_NAME = re.compile(r"[\w$]*")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_.]*|0[bB][01_]*|0[oO][0-7_]*"
    r"|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?[\d_]*)?"
)
_SYMBOL = re.compile(r"\.\.|\?\.|\?\?|\*\*|==|!=|<=|>=|&&|\|\||::|[-+*/%^<>!?:.,;|&=#()\[\]{}]")
_ESCAPES = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))
_LENGTHS = {"x": 2, "u": 4, "U": 8}
_LARGEST = 2**63 - 1
_FOREIGN = {"=~": "write matches", "“": "write plain quotes", "”": "write plain quotes"}
"""What other languages write, and what is meant."""


class Token(NamedTuple):
    """One word."""

    kind: str
    value: str | int | float | bytes
    at: int
    """Offset in the text."""
    written: str = ""
    """A number as it is written."""

    def is_(self, *symbols: str) -> bool:
        """Return whether it is one of these operators."""
        return self.kind == OPERATOR and self.value in symbols


def tokens(text: str, dialect: Dialect) -> list[Token]:
    """Return the words of a text, the end last. Raises SyntaxFault."""
    return list(_Scanner(text, dialect).scan())


class _Scanner:
    """One pass over a text."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text, self._later = text, dialect == "1.17"
        self._words = _LATER_WORDS if self._later else _WORDS
        self._at = 0

    def scan(self) -> Iterator[Token]:
        text = self._text
        while True:
            space = _SPACE.match(text, self._at)
            assert space is not None  # it matches nothing, too
            self._at = space.end()
            if self._at == len(text):
                yield Token(END, "", self._at)
                return
            if text.startswith("/*", self._at):
                raise SyntaxFault("a comment is not closed with */", self._at)
            yield self._token(text[self._at])

    def _token(self, first: str) -> Token:
        at = self._at
        if (first.isdecimal() and first.isascii()) or self._fraction():
            return self._number(at)
        if first in "'\"":
            return self._string(at)
        if self._later and first == "`":
            return self._raw(at)
        if self._later and first == "b" and self._text[at + 1 : at + 2] in {"'", '"'}:
            return self._bytes(at)
        if first in {"$", "_"} or first.isalpha():
            return self._name(at)
        symbol = _SYMBOL.match(self._text, at)
        if symbol is None:
            hint = _FOREIGN.get(self._text[at - 1 : at + 1]) or _FOREIGN.get(first)
            behind = f": {hint}" if hint else ""
            raise SyntaxFault(f"character {first!r} has no meaning here{behind}", at)
        value = symbol[0]
        if value == "::" and not self._later:
            value = ":"
        self._at = at + len(value)
        return Token(OPERATOR, value, at)

    def _fraction(self) -> bool:
        """Whether a number begins with its point."""
        after = self._text[self._at + 1 : self._at + 2]
        return self._text[self._at] == "." and after.isdecimal() and after.isascii()

    def _name(self, at: int) -> Token:
        rest = _REST_OF_NAME.match(self._text, at)
        assert rest is not None
        self._at = rest.end()
        return Token(OPERATOR if rest[0] in self._words else IDENTIFIER, rest[0], at)

    # ------------------------------------------------------------------------ numbers

    def _number(self, at: int) -> Token:
        match = _NUMBER.match(self._text, at)
        assert match is not None
        self._at = match.end()
        after = self._text[self._at : self._at + 1]
        if after.isalnum() or after == "_":
            raise SyntaxFault(f"{match[0] + after!r} is no number", at)
        try:
            return Token(NUMBER, self._value(match[0].replace("_", "")), at, match[0])
        except (ValueError, OverflowError) as exc:
            raise SyntaxFault(f"{match[0]!r} is no number", at) from exc

    def _value(self, digits: str) -> int | float:
        prefix = digits[:2]
        if prefix in {"0x", "0X", "0b", "0B", "0o", "0O"}:
            if not self._later and prefix != "0x":
                raise ValueError
            number = int(digits[2:], {"x": 16, "b": 2, "o": 8}[prefix[1].lower()])
        elif "." in digits or "e" in digits or "E" in digits:
            value = float(digits)
            if value == float("inf"):
                raise ValueError
            return value
        elif len(digits) > 5000:  # noqa: PLR2004 -- Python refuses longer ones
            raise OverflowError
        else:
            number = int(digits)
        if number > _LARGEST:
            raise OverflowError
        return number

    # ------------------------------------------------------------------------ strings

    def _string(self, at: int) -> Token:
        return Token(STRING, "".join(self._characters(at)), at)

    def _characters(self, at: int) -> Iterator[str]:
        """Yield the characters of a quoted text."""
        text, quote, here = self._text, self._text[at], at + 1
        while True:
            letter = text[here : here + 1]
            if letter in {"", "\n"}:
                raise SyntaxFault(f"a text is not closed with {quote}", at)
            here += 1
            if letter == quote:
                self._at = here
                return
            if letter == "\\":
                letter, here = self._escape(here, quote)
            yield letter

    def _escape(self, here: int, quote: str) -> tuple[str, int]:
        """Return the character that an escape stands for, and where it ends."""
        letter = self._text[here : here + 1]
        if letter in _ESCAPES and letter not in {"'", '"'} - {quote}:
            return _ESCAPES[letter], here + 1
        base, start, length = 16, here + 1, _LENGTHS.get(letter, 0)
        if letter in set("01234567"):
            base, start, length = 8, here, 3
        digits = self._text[start : start + length]
        valid = r"[0-7]{3}" if base == 8 else r"[0-9a-fA-F]+"  # noqa: PLR2004 -- octal
        if not length or len(digits) < length or not re.fullmatch(valid, digits):
            raise SyntaxFault(f"\\{letter} is no escape", here - 1)
        code = int(digits, base)
        if code > (0xFF if base == 8 else 0x10FFFF):  # noqa: PLR2004 -- octal
            raise SyntaxFault(f"\\{digits} is no character", here - 1)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code), start + length  # noqa: PLR2004

    def _raw(self, at: int) -> Token:
        """Read a text in back-ticks, where two of them are one."""
        match = re.compile(r"`((?:[^`]|``)*)`").match(self._text, at)
        if match is None:
            raise SyntaxFault("a text is not closed with `", at)
        self._at = match.end()
        return Token(STRING, match[1].replace("``", "`"), at)

    def _bytes(self, at: int) -> Token:
        """Read bytes: hexadecimal and octal escapes are one byte, all else is UTF-8."""
        self._at = at + 1
        text = "".join(self._characters(at + 1))
        raw = self._text[at + 2 : self._at - 1]
        if "\\x" in raw or re.search(r"\\[0-7]", raw):
            return Token(BYTES, _bytes_of(raw), at)
        return Token(BYTES, text.encode(), at)


def _bytes_of(raw: str) -> bytes:
    """Return bytes with escapes, which are known to be valid."""

    def one(match: re.Match[str]) -> str:
        if match["hex"]:
            return chr(0xDC00 + int(match["hex"], 16))
        if match["octal"]:
            return chr(0xDC00 + int(match["octal"], 8))
        if match["unicode"]:
            return chr(int(match["unicode"][1:], 16))
        return _ESCAPES[match["plain"]]

    text = re.sub(
        r"\\(?:x(?P<hex>..)|(?P<octal>[0-7]{3})|(?P<unicode>u.{4}|U.{8})|(?P<plain>.))", one, raw
    )
    return b"".join(
        bytes([ord(c) - 0xDC00]) if 0xDC00 <= ord(c) < 0xDD00 else c.encode()  # noqa: PLR2004
        for c in text
    )
