"""The grammar of pipelines: `.a | f "x"`, variables, calls; variables become places in a frame."""

import difflib
from collections.abc import Callable, Collection

from spine.lang.gofmt import unquote
from spine.lang.gotemplate import numbers
from spine.lang.gotemplate.lexer import Token
from spine.lang.gotemplate.tree import (
    Chain,
    Dot,
    Field,
    Literal,
    Name,
    Nil,
    Number,
    Operand,
    Pipe,
    Variable,
)
from spine.lang.gotemplate.words import Words

_OPERANDS = frozenset(
    (
        *("bool", "char", "complex", "dot", "field", "word", "number", "nil"),
        *("raw", "string", "variable", "open"),
    )
)


class Scope:
    """Variables of one body: their names now, and how many there were at most."""

    def __init__(self) -> None:
        self.names = ["$"]
        self.most = 1
        self.ranges = 0

    def declare(self, name: str) -> int:
        """Return the place of a new variable."""
        self.names.append(name)
        self.most = max(self.most, len(self.names))
        return len(self.names) - 1

    def find(self, name: str) -> int | None:
        """Return the place of the last variable of a name."""
        for slot in range(len(self.names) - 1, -1, -1):
            if self.names[slot] == name:
                return slot
        return None


class Pipelines(Words):
    """Reads pipelines; what stands around them is left to whoever inherits this."""

    def __init__(
        self, source: str, functions: Collection[str], refused: Callable[[str], str]
    ) -> None:
        super().__init__(source)
        self.functions = functions
        self.refused = refused
        self.scope = Scope()

    def _pipeline(self, context: str, end: str) -> Pipe:
        slots, assigns = self._declarations(context)
        commands: list[tuple[Operand, ...]] = []
        while True:
            token = self.skip_space()
            if token.kind == end:
                self.next()
                break
            if token.kind not in _OPERANDS:
                self.unexpected(token, context)
            commands.append(self._command())
        if not commands:
            self.fail(f"missing value for {context}", token.at)
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command[0], Dot | Nil | Number | Literal):
                self.fail(f"non executable command in pipeline stage {stage}", token.at)
        return Pipe(tuple(commands), slots, assigns)

    def _declarations(self, context: str) -> tuple[tuple[int, ...], bool]:
        names: list[Token] = []
        start = self.at
        while self.skip_space().kind == "variable":
            names.append(self.next())
            sign = self.skip_space()
            if sign.kind in {"declare", "assign"}:
                self.next()
                return self._slots(names, sign.kind == "assign"), sign.kind == "assign"
            if sign.text != ",":
                break
            self.next()
            if context != "range" or len(names) > 1:
                self.fail(f"too many declarations in {context}", sign.at)
            if self.skip_space().kind != "variable":
                self.fail("range can only initialize variables")
        self.at = start
        return (), False

    def _slots(self, names: list[Token], assigns: bool) -> tuple[int, ...]:
        if not assigns:
            return tuple(self.scope.declare(token.text) for token in names)
        return tuple(self._variable(token).slot for token in names)

    def _variable(self, token: Token) -> Variable:
        slot = self.scope.find(token.text)
        if slot is None:
            near = difflib.get_close_matches(token.text, self.scope.names, 1)
            hint = f"did you mean {near[0]}?" if near else "declare it: {{ $x := … }}"
            self.fail(f"undefined variable {token.text!r}", token.at, hint)
        return Variable(slot, ())

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while True:
            self.skip_space()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self.peek()
            if token.kind == "space":
                continue
            if token.kind == "pipe":
                self.next()
            elif token.kind not in {"right", "close"}:
                self.unexpected(token, "operand")
            break
        if not operands:
            self.fail("empty command", token.at)
        return tuple(operands)

    def _operand(self) -> Operand | None:
        at = self.peek().at
        node = self._term()
        if node is None:
            return None
        names: list[str] = []
        while self.peek().kind == "field":
            names.append(self.next().text[1:])
        if not names:
            return node
        if isinstance(node, Field):
            return Field((*node.names, *names))
        if isinstance(node, Variable):
            return Variable(node.slot, tuple(names))
        if isinstance(node, Dot | Nil | Number | Literal):
            self.fail("unexpected . after a term", at)
        return Chain(node, tuple(names))

    def _term(self) -> Operand | None:
        token = self.peek()
        parse = _TERMS.get(token.kind)
        if parse is None:
            return None
        self.next()
        try:
            return parse(self, token)
        except ValueError as exc:
            self.fail(str(exc), token.at)

    def _name(self, token: Token) -> Name:
        name = token.text
        if name not in self.functions:
            reason = self.refused(name)
            near = difflib.get_close_matches(name, self.functions, 1)
            hint = reason or (f"did you mean {near[0]}?" if near else f"write .{name} for a field")
            self.fail(f'function "{name}" not defined', token.at, hint)
        return Name(name, token.at)

    def _parenthesis(self, _token: Token) -> Pipe:
        self.deeper()
        pipe = self._pipeline("parenthesized pipeline", "close")
        self.depth -= 1
        return pipe

    def _text(self, token: Token) -> str:
        if token.kind == "raw":
            return token.text[1:-1].replace("\r", "")
        try:
            return unquote(token.text[1:-1])
        except ValueError as exc:
            self.fail(f"reading {token.text}: {exc}", token.at)


_TERMS: dict[str, Callable[[Pipelines, Token], Operand]] = {
    "word": Pipelines._name,  # noqa: SLF001
    "dot": lambda _parser, _token: Dot(),
    "nil": lambda _parser, _token: Nil(),
    "variable": Pipelines._variable,  # noqa: SLF001
    "field": lambda _parser, token: Field((token.text[1:],)),
    "bool": lambda _parser, token: Literal(token.text == "true"),
    "char": lambda _parser, token: numbers.character(token.text),
    "number": lambda _parser, token: numbers.number(token.text),
    "complex": lambda _parser, token: numbers.complex_number(token.text),
    "open": Pipelines._parenthesis,  # noqa: SLF001
    "string": lambda parser, token: Literal(parser._text(token)),  # noqa: SLF001
    "raw": lambda parser, token: Literal(parser._text(token)),  # noqa: SLF001
}
