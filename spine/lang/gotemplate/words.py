"""Takes the words of a template one after the other, and tells what is wrong with one."""

from typing import NoReturn

from spine.lang.gotemplate.lexer import Token, fail, tokens

_DEEPEST = 100
"""Levels of blocks and parentheses, all together."""


class Words:
    """Where a parser stands among the words of one template, and how deep."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = list(tokens(source))
        self.at = 0
        self.depth = 0

    def fail(self, why: str, at: int | None = None, hint: str = "") -> NoReturn:
        """Raise the ConfigError of a fault at an offset, or at the next word."""
        fail(self.source, self.tokens[self.at].at if at is None else at, why, hint)

    def unexpected(self, token: Token, context: str) -> NoReturn:
        """Refuse a word that cannot stand where it does."""
        hint = ""
        if token.text in {"=", ">", "<", "&", "!"}:
            hint = "write comparisons as calls: eq .a .b, gt .n 3, and .a .b"
        elif token.text == "/":
            hint = "write a comment as {{/* … */}}, without blanks inside of the braces"
        what = "end of the template" if token.kind == "eof" else repr(token.text)
        if context == "input" and token.text in {"end", "else"}:
            hint = f"no if, range, with or define is open for this {token.text}"
        self.fail(f"unexpected {what} in {context}", token.at, hint)

    def next(self) -> Token:
        """Take the next word; the last one, the end, stays."""
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def peek(self) -> Token:
        """Return the next word."""
        return self.tokens[self.at]

    def skip_space(self) -> Token:
        """Pass over spaces; return the token that follows, without taking it."""
        if self.tokens[self.at].kind == "space":
            self.at += 1
            if self.tokens[self.at].kind == "space":
                self.at += 1
        return self.tokens[self.at]

    def take(self) -> Token:
        """Take the next word that is no space."""
        self.skip_space()
        return self.next()

    def expect(self, kind: str, context: str) -> Token:
        """Take the next word that is no space, which is of a kind."""
        token = self.take()
        if token.kind != kind:
            self.unexpected(token, context)
        return token

    def deeper(self) -> None:
        """Go down a level. Raises ConfigError where there are too many."""
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(f"nested deeper than {_DEEPEST} levels")
