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


_FOREIGN = {
    "&": "write and",
    "'": "texts stand in double quotes",
    "!": "write (… | not)",
    "“": "write plain quotes",
    "”": "write plain quotes",
    "`": "texts stand in double quotes",
}
"""Letters of other languages, and what is meant."""


class SyntaxFault(Exception):
    """A program that is not jq."""

    def __init__(self, text: str, at: int | None = None, hint: str = "") -> None:
        super().__init__(text)
        self.at = at
        """Offset of what is wrong, None where it is no one place."""
        self.hint = hint


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

    def unexpected(self, token: Token | None = None, missing: str = "") -> SyntaxFault:
        """Return the fault of a word, the next one, that cannot stand where it does."""
        token = token or self.next
        behind = f": {missing} is missing" if missing else ""
        if token.kind == "end":  # which is behind the last word, not behind the blanks
            return SyntaxFault(f"unexpected end{behind}", len(self.program.rstrip()))
        hint = "write or" if token.text == "|" and self._doubled(token.end) else ""
        return SyntaxFault(f"unexpected {token.text!r}{behind}", token.end - len(token.text), hint)

    def _doubled(self, end: int) -> bool:
        """Return whether the word that ends there, a sign, has its like beside it."""
        return "||" in {self.program[end - 1 : end + 1], self.program[end - 2 : end]}

    def _token(self, at: int) -> Token:
        blank = _BLANK.match(self.program, at)
        at = blank.end() if blank else at
        if at == len(self.program):
            return Token("end", "", at)
        match = _TOKEN.match(self.program, at)
        if match is None:
            letter = self.program[at]
            raise SyntaxFault(f"unexpected {letter!r}", at, _FOREIGN.get(letter, ""))
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
            raise self.unexpected(missing=text)
