"""Takes the words of an expression one after the other, and tells what is wrong with the next."""

from spine.lang.exprlang.lexer import END, Token
from spine.lang.exprlang.nodes import SyntaxFault

DEEPEST = 64
"""Levels of nesting; each costs a handful of frames here, when checked and when run."""
SAME = {"||": "or", "&&": "and", "!": "not", "^": "**"}
"""Operators with another name."""


class Words:
    """Where a parser stands among the words of one expression."""

    def __init__(self, words: list[Token]) -> None:
        self._words, self._at = words, 0

    @property
    def _word(self) -> Token:
        return self._words[self._at]

    def _next(self) -> Token:
        word = self._words[self._at]
        if word.kind != END:
            self._at += 1
        return word

    def _take(self, symbol: str) -> bool:
        if self._word.is_(symbol):
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> Token:
        if not self._word.is_(symbol):
            raise self._unexpected(f"{symbol} is missing")
        return self._next()

    def _unexpected(self, why: str = "") -> SyntaxFault:
        word = self._word
        found = "it ends too early" if word.kind == END else f"unexpected {word.value!r}"
        if not why and word.value == "=":
            why = "write == to compare"
        return SyntaxFault(f"{found}: {why}" if why else found, word.at)

    def end(self) -> None:
        """Refuse what stands behind the expression."""
        if self._word.kind != END:
            raise self._unexpected()


def text_of(word: Token) -> str:
    """Return a word as it stands in a message."""
    return str(word.value)
