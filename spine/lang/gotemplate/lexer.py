"""Tokens of a template: text, and inside the braces what Go's scanner finds there."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, NoReturn

from spine.errors import ConfigError

_SPACE = " \t\r\n"
_TRIMMED = re.compile(r"-(?=[ \t\r\n])")
_CLOSING = re.compile(r"(?:[ \t\r\n]-)?\}\}")
_COMMENT_END = re.compile(r"\*/(?:[ \t\r\n]-)?\}\}")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<open>\()|(?P<close>\))
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\[^\n])*')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?
        |0[oO][0-7_]*|0[bB][01_]*
        |[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?|\.[0-9][0-9_]*(?:[eE][+-]?[0-9_]*)?)i?)
    |(?P<variable>\$\w*)
    |(?P<field>\.\w+)
    |(?P<dot>\.)
    |(?P<word>\w+)
    |(?P<other>[!-~])""",
    re.VERBOSE,
)
_KEYWORDS = frozenset(
    (
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "range",
        "nil",
        "template",
        "with",
    )
)
_TERMINATORS = frozenset(" \t\r\n.,|:()")


class Token(NamedTuple):
    """A piece of the text."""

    kind: str
    """`text`, `left`, `right`, `eof`, a keyword, or a group of the pattern."""
    text: str
    at: int
    """Index of its first letter."""


@lru_cache(maxsize=4)
def _lines(source: str) -> list[int]:
    return [-1, *(found.start() for found in re.finditer("\n", source))]


def place(source: str, at: int) -> str:
    """Return line and column of a letter, from 1; quick however often it is asked for."""
    lines = _lines(source)
    line = bisect_left(lines, at)
    return f"line {line}, column {at - lines[line - 1]}"


def fail(source: str, at: int, why: str, hint: str = "") -> NoReturn:
    """Raise the ConfigError of a place in a template."""
    shown = source if len(source) <= 80 else source[:77] + "…"  # noqa: PLR2004 -- one line
    raise ConfigError(f"compiling template {shown!r}: {place(source, at)}: {why}", hint=hint)


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of a template. Raises ConfigError."""
    at, trims = 0, False
    while True:
        left = source.find("{{", at)
        text = source[at:] if left < 0 else source[at:left]
        if trims:
            text = text.lstrip(_SPACE)
        start = 0 if left < 0 else left + 2
        dashed = _TRIMMED.match(source, start) if left >= 0 else None
        if dashed is not None:
            text = text.rstrip(_SPACE)
            start = dashed.end()
        if text:
            yield Token("text", text, at)
        if left < 0:
            yield Token("eof", "", len(source))
            return
        comment = start + 1 if dashed is not None else start
        if source.startswith("/*", comment):
            at = _comment(source, comment, left)
        else:
            yield Token("left", "{{", left)
            inside = _Inside(source, start)
            yield from inside
            at = inside.at
        trims = source[at - 3] == "-" and source[at - 4] in _SPACE


def _comment(source: str, at: int, left: int) -> int:
    end = source.find("*/", at + 2)
    if end < 0:
        fail(source, left, "unclosed comment")
    match = _COMMENT_END.match(source, end)
    if match is None:
        fail(source, left, "comment ends before closing delimiter")
    return match.end()


class _Inside:
    """The tokens between braces."""

    def __init__(self, source: str, at: int) -> None:
        self.source = source
        self.at = at

    def __iter__(self) -> Iterator[Token]:
        depth, source = 0, self.source
        while True:
            closing = _CLOSING.match(source, self.at)
            if closing is not None:
                if depth:
                    fail(source, self.at, "unclosed left paren")
                at, self.at = self.at, closing.end()
                yield Token("right", closing[0], at)
                return
            token = self._token()
            depth += (token.kind == "open") - (token.kind == "close")
            if depth < 0:
                fail(source, token.at, "unexpected right paren")
            self.at += len(token.text)
            yield token

    def _token(self) -> Token:
        source, at = self.source, self.at
        match = _TOKEN.match(source, at)
        if match is None:
            self._foreign(at)
        kind, text = str(match.lastgroup), match[0]
        if kind == "space":
            return self._space(text, at)
        if kind == "other" and text in "\"`'+-":
            self._foreign(at)
        if kind in {"word", "variable", "field", "dot", "number"}:
            self._check_end(kind, text, at)
        if kind == "number" and source[match.end() : match.end() + 1] in {"+", "-"}:
            return self._complex(text, match.end(), at)
        if kind == "word":
            kind = text if text in _KEYWORDS else "bool" if text in {"true", "false"} else "word"
        return Token(kind, text, at)

    def _space(self, text: str, at: int) -> Token:
        """Leave the last space to a closing delimiter that trims."""
        end = at + len(text)
        if self.source.startswith("-}}", end) and len(text) > 1:
            text = text[:-1]
        return Token("space", text, at)

    def _complex(self, text: str, end: int, at: int) -> Token:
        match = _TOKEN.match(self.source, end)
        if match is None or match.lastgroup != "number" or not match[0].endswith("i"):
            fail(self.source, at, f"bad number syntax: {text!r}")
        return Token("complex", text + match[0], at)

    def _check_end(self, kind: str, text: str, at: int) -> None:
        end = at + len(text)
        following = self.source[end : end + 1]
        if kind == "number":
            if following == "_" or following.isalnum():
                fail(self.source, at, f"bad number syntax: {text + following!r}")
        elif not (not following or following in _TERMINATORS or self.source.startswith("}}", end)):
            hint = ""
            if following == "-":
                hint = f'write {{{{ index . "…" }}}}: {text}- is no name'
            elif following == "[":
                hint = f"write {{{{ index {text} 0 }}}} for an element"
            fail(self.source, end, f"bad character {following!r} after {text!r}", hint)

    def _foreign(self, at: int) -> NoReturn:
        letter = self.source[at : at + 1]
        if not letter:
            fail(self.source, at, "unclosed action", "end it with }}")
        if letter in '"`':
            fail(self.source, at, "unterminated quoted string")
        if letter == "'":
            hint = "a text stands in double quotes or backquotes"
            fail(self.source, at, "unterminated character constant", hint)
        if letter in "+-":
            hint = "write a blank behind {{-" if self.source[:at].endswith("{{") else ""
            fail(self.source, at, f"bad number syntax: {letter!r}", hint)
        fail(self.source, at, f"unrecognized character in action: {letter!r}")
