"""Tokens of Lua as gopher-lua reads it.

A source is handled as text of which each character is one byte, so that texts in it keep their
bytes whatever they are. What comes out is ASCII.
"""

import re
from typing import NamedTuple

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "and break do else elseif end false for function goto if in local nil not or repeat return "
        "then true until while",
    )
)
_SKIP = re.compile(r"[ \t\r\n]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]*)?")
_LONG = re.compile(r"\[(=*)\[")
_OPERATOR = re.compile(r"\.\.\.|\.\.|==|~=|<=|>=|::|[-+*/%^#<>=(){}\[\];:,.]")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_BYTE = 256
_FOREIGN = {
    "!=": "write ~=",
    "!": "write not",
    "&&": "write and",
    "||": "write or",
    "&": "write and",
    "|": "write or",
    "?": "write condition and a or b",
    "\xe2": "write plain quotes",
}
"""What other languages write, and what is meant; a byte of a curly quote is the last."""


class SyntaxFault(Exception):
    """A source that is not Lua; the text says where and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line, self.why = line, why


class Token(NamedTuple):
    """A word of the source."""

    kind: str
    """`name`, `number`, `string`, `eof`, or the keyword or operator itself."""
    value: str
    """The name, the number in Lua, the text of a string, or the keyword or operator."""
    line: int

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        return "the end" if self.kind == "eof" else repr(self.value)


def tokens(source: str) -> list[Token]:
    """Return the tokens of a source, the last of kind `eof`. Raises SyntaxFault."""
    return _Lexer(source).all()


class _Lexer:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._line = 1

    def all(self) -> list[Token]:
        found = []
        while (token := self._next()) is not None:
            found.append(token)
        return [*found, Token("eof", "", self._line)]

    def _next(self) -> Token | None:
        self._skip()
        source, line = self._source, self._line
        if self._at >= len(source):
            return None
        first = source[self._at]
        if first in "\"'":
            return Token("string", self._quoted(first), line)
        long = _LONG.match(source, self._at)
        if long is not None:
            return Token("string", self._long(long), line)
        for kind, pattern in (("name", _NAME), ("number", _NUMBER), ("", _OPERATOR)):
            match = pattern.match(source, self._at)
            if match is not None:
                return self._word(kind, match[0])
        hint = _FOREIGN.get(source[self._at : self._at + 2]) or _FOREIGN.get(first)
        raise SyntaxFault(line, f"{first!r} is no part of Lua{f' ({hint})' if hint else ''}")

    def _word(self, kind: str, text: str) -> Token:
        self._at += len(text)
        if kind == "name" and text in KEYWORDS:
            kind = text
        if kind == "number":
            text = number(text, self._line)
        return Token(kind or text, text, self._line)

    def _skip(self) -> None:
        source = self._source
        while True:
            space = _SKIP.match(source, self._at)
            if space is not None:
                self._advance(space.end())
            elif source.startswith("--", self._at):
                self._at += 2
                long = _LONG.match(source, self._at)
                if long is not None:
                    self._long(long)
                else:
                    end = source.find("\n", self._at)
                    self._at = len(source) if end < 0 else end
            else:
                return

    def _advance(self, end: int) -> None:
        self._line += self._source.count("\n", self._at, end)
        self._at = end

    def _long(self, opening: re.Match[str]) -> str:
        end = self._source.find(f"]{opening[1]}]", opening.end())
        if end < 0:
            raise SyntaxFault(self._line, f"nothing closes {opening[0]}")
        self._advance(end + len(opening[0]))
        text = self._source[opening.end() : end].replace("\r\n", "\n")
        return text.removeprefix("\n")

    def _quoted(self, quote: str) -> str:
        source, out, at = self._source, [], self._at + 1
        while at < len(source) and source[at] != quote:
            if source[at] == "\n":
                break
            if source[at] != "\\":
                out.append(source[at])
                at += 1
                continue
            text, at = self._escape(at + 1)
            out.append(text)
        if at >= len(source) or source[at] != quote:
            raise SyntaxFault(self._line, f"a text that begins with {quote} does not end")
        self._at = at + 1
        return "".join(out)

    def _escape(self, at: int) -> tuple[str, int]:
        source = self._source
        digits = re.compile(r"[0-9]{1,3}").match(source, at)
        if digits is not None:
            return chr(int(digits[0]) % _BYTE), digits.end()
        char = source[at : at + 1]
        if char == "\r" and source[at + 1 : at + 2] == "\n":
            at, char = at + 1, "\n"
        if char == "\n":
            self._line += 1
        return _ESCAPES.get(char, char), at + 1


def number(text: str, line: int) -> str:
    """Return a number as any Lua reads it. Raises SyntaxFault."""
    if text[:2] in {"0x", "0X"}:
        if len(text) == 2:  # noqa: PLR2004 -- the prefix alone
            raise SyntaxFault(line, f"{text} is no number")
        value = int(text, 16)
        return text if value < 2**53 else repr(float(value)).replace("inf", "1e999")
    if text[-1] in "eE+-":
        raise SyntaxFault(line, f"{text} is no number")
    return text


def quoted(text: str) -> str:
    """Return a text of bytes as a Lua string in ASCII."""
    return (
        '"'
        + "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\{ord(c):03d}" for c in text)
        + '"'
    )
