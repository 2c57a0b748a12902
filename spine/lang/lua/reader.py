"""The words of a Lua program, one after another, and what is in scope where they stand."""

from spine.lang.lua.facts import Facts
from spine.lang.lua.lexer import SyntaxFault, Token

_DEEPEST = 90
"""Levels of nesting; LuaJIT follows 200."""
_ANY_ORDER = frozenset({"_G", "getfenv", "load", "loadstring", "next", "pairs", "setfenv"})


class Reader:
    """Takes words in turn and gives each on the line where it was."""

    def __init__(self, words: list[Token]) -> None:
        names = {word.value for word in words if word.kind == "name"}
        self._words = words
        self._at = 0
        self._line = 1
        self._depth = 0
        self._scopes: list[set[str]] = [set()]
        self._varargs = [True]
        self._loops = [0]
        self._used: list[set[str]] = [set()]
        self._mark = next(
            mark
            for mark in (f"z{n}" for n in range(len(names) + 1))
            if not any(name.startswith(mark) for name in names)
        )
        self._hidden = 0
        self.facts = Facts()
        self._ordered = not names.isdisjoint(_ANY_ORDER)

    @property
    def _word(self) -> Token:
        return self._words[self._at]

    def _take(self, text: str | None = None) -> str:
        """Return the next word on the line where it was."""
        word = self._word
        self._at += 1
        breaks = "\n" * (word.line - self._line)
        self._line = word.line
        return f"{breaks} {word.value if text is None else text}"

    def _expect(self, kind: str) -> str:
        if self._word.kind != kind:
            raise self._unexpected(repr(kind))
        return self._take()

    def _unexpected(self, expected: str = "") -> SyntaxFault:
        """Return the fault of the next word, which cannot stand there."""
        if self._word.kind == "eof":
            return SyntaxFault(
                self._word.line, f"unexpected end{f': {expected} is missing' if expected else ''}"
            )
        if expected:
            return SyntaxFault(self._word.line, f"expecting {expected}, not {self._word.shown}")
        return SyntaxFault(self._word.line, f"{self._word.shown} is not expected")

    def _accept(self, kind: str) -> str:
        return self._take() if self._word.kind == kind else ""

    def _name(self) -> str:
        """Return the next word, which is a name, without taking it."""
        if self._word.kind != "name":
            raise self._unexpected("a name")
        return self._word.value

    def _ours(self, name: str) -> str:
        return self._mark + name

    def _fresh(self) -> str:
        self._hidden += 1
        return f"{self._mark}v{self._hidden}"

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SyntaxFault(self._word.line, "the program is nested too deeply")

    def _declare(self, *names: str) -> None:
        self._scopes[-1].update(names)
        self.facts.assigned.update(names)
