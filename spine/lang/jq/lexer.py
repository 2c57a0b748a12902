"""The words of a jq program, and where they stand."""

import re
from typing import NamedTuple

_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<number>(?>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))(?![A-Za-z_])
    |(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<variable>\$[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<format>@[A-Za-z0-9_]+)
    |(?P<sign>\?//|\|=|//=|//|==|!=|<=|>=|\+=|-=|\*=|/=|%=|\.\.|[.\[\]{}()|,:;=<>+\-*/%?"])""",
    re.VERBOSE,
)


class SyntaxFault(Exception):
    """A program that is not jq."""


class Token(NamedTuple):
    """A word of a program."""

    kind: str
    text: str
    end: int


class Words:
    """Takes the words of a program one after the other; `next` is the one that comes."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.next = self._token(0)

    def unexpected(self) -> SyntaxFault:
        """Return the fault of a next word that cannot stand here."""
        what = "end of program" if self.next.kind == "end" else repr(self.next.text)
        return SyntaxFault(f"unexpected {what} at character {self.next.end - len(self.next.text)}")

    def _token(self, at: int) -> Token:
        blank = _BLANK.match(self.program, at)
        at = blank.end() if blank else at
        if at == len(self.program):
            return Token("end", "", at)
        match = _TOKEN.match(self.program, at)
        if match is None:
            raise SyntaxFault(f"unexpected {self.program[at]!r} at character {at}")
        return Token(match.lastgroup or "", match[0], match.end())

    def _advance(self) -> Token:
        token = self.next
        self.next = self._token(token.end)
        return token

    def _is(self, *texts: str) -> bool:
        return self.next.kind in {"sign", "name"} and self.next.text in texts

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self.unexpected()
