"""The grammar of templates: tokens become a tree, variables become places in a frame."""

import difflib
from collections.abc import Callable, Collection
from typing import NoReturn

from spine.lang.gofmt import unquote
from spine.lang.gotemplate import numbers
from spine.lang.gotemplate.lexer import Token, fail, tokens
from spine.lang.gotemplate.tree import (
    Action,
    Body,
    Branch,
    Call,
    Chain,
    Dot,
    Field,
    Leave,
    Literal,
    Name,
    Nil,
    Node,
    Number,
    Operand,
    Pipe,
    Range,
    Text,
    Tree,
    Variable,
)

_DEEPEST = 100
"""Levels of blocks and parentheses, all together."""
_LONGEST = 1_000_000
"""Letters of a template."""
_OPERANDS = frozenset(
    (
        *("bool", "char", "complex", "dot", "field", "word", "number", "nil"),
        *("raw", "string", "variable", "open"),
    )
)


def parse(source: str, functions: Collection[str], refused: Callable[[str], str]) -> Tree:
    """Parse a template.

    `refused` gives the reason why a function that is not among `functions` is left out on
    purpose, or an empty text. Raises ConfigError.
    """
    if len(source) > _LONGEST:
        fail(source, 0, f"{len(source)} letters are too long for a template")
    return _Parser(source, functions, refused).parse()


class _Scope:
    """Variables of one body: their names now, and how many there were at most."""

    def __init__(self) -> None:
        self.names = ["$"]
        self.most = 1
        self.ranges = 0

    def declare(self, name: str) -> int:
        self.names.append(name)
        self.most = max(self.most, len(self.names))
        return len(self.names) - 1

    def find(self, name: str) -> int | None:
        for slot in range(len(self.names) - 1, -1, -1):
            if self.names[slot] == name:
                return slot
        return None


class _Parser:
    def __init__(
        self, source: str, functions: Collection[str], refused: Callable[[str], str]
    ) -> None:
        self.source = source
        self.functions = functions
        self.refused = refused
        self.tokens = list(tokens(source))
        self.at = 0
        self.tree = Tree()
        self.scope = _Scope()
        self.depth = 0

    # ------------------------------------------------------------------ tokens

    def fail(self, why: str, at: int | None = None, hint: str = "") -> NoReturn:
        fail(self.source, self.tokens[self.at].at if at is None else at, why, hint)

    def unexpected(self, token: Token, context: str) -> NoReturn:
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
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def peek(self) -> Token:
        return self.tokens[self.at]

    def skip_space(self) -> Token:
        """Pass over spaces; return the token that follows, without taking it."""
        if self.tokens[self.at].kind == "space":
            self.at += 1
            if self.tokens[self.at].kind == "space":
                self.at += 1
        return self.tokens[self.at]

    def take(self) -> Token:
        self.skip_space()
        return self.next()

    def expect(self, kind: str, context: str) -> Token:
        token = self.take()
        if token.kind != kind:
            self.unexpected(token, context)
        return token

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(f"nested deeper than {_DEEPEST} levels")

    # ------------------------------------------------------------------ bodies

    def parse(self) -> Tree:
        nodes: list[Node] = []
        while self.peek().kind != "eof":
            start = self.at
            if self.next().kind == "left" and self.take().kind == "define":
                self._define()
                continue
            self.at = start
            node = self._node(nodes)
            if node is not None:
                self.unexpected(node, "input")
        self.tree.main = Body(tuple(nodes), self.scope.most)
        return self.tree

    def _define(self) -> None:
        name = self._template_name("define clause")
        self.expect("right", "define clause")
        self._body(name, "define clause")

    def _body(self, name: str, context: str) -> None:
        """Parse what a define or a block holds; an empty one never replaces another."""
        outer, self.scope = self.scope, _Scope()
        at = self.peek().at
        nodes, end = self._list()
        if end.kind != "closed":
            self.unexpected(end, context)
        body, self.scope = Body(nodes, self.scope.most), outer
        there = self.tree.defined.get(name)
        if there is None or _is_empty(there):
            self.tree.defined[name] = body
        elif not _is_empty(body):
            self.fail(f"multiple definition of template {name!r}", at)

    def _list(self) -> tuple[tuple[Node, ...], Token]:
        """Parse up to an end or an else; returns that too."""
        nodes: list[Node] = []
        self.deeper()
        while True:
            if self.peek().kind == "eof":
                self.fail("unexpected end of the template: {{ end }} is missing")
            last = self._node(nodes)
            if last is not None:
                self.depth -= 1
                return tuple(nodes), last

    def _node(self, nodes: list[Node]) -> Token | None:
        """Parse one text or action; an end or an else is returned."""
        token = self.next()
        if token.kind == "text":
            nodes.append(Text(token.text))
            return None
        if token.kind != "left":
            self.unexpected(token, "input")
        word = self.skip_space()
        if word.kind in {"end", "else"}:
            return self._closing(word)
        parse = _CONTROLS.get(word.kind)
        if parse is not None:
            self.next()
            parse(self, nodes, word)
        else:
            nodes.append(Action(self._pipeline("command", "right"), word.at))
        return None

    def _closing(self, word: Token) -> Token:
        self.next()
        if word.kind == "end":
            self.expect("right", "end")
            return word._replace(kind="closed")
        if self.skip_space().kind not in {"if", "with"}:
            self.expect("right", "else")
        return word

    # ------------------------------------------------------------------ controls

    def _break(self, nodes: list[Node], word: Token) -> None:
        if not self.scope.ranges:
            self.fail(f"{{{{{word.text}}}}} outside {{{{range}}}}", word.at)
        self.expect("right", word.text)
        nodes.append(Leave(stops=word.kind == "break"))

    def _template(self, nodes: list[Node], word: Token) -> None:
        name = self._template_name("template clause")
        pipe = None
        if self.skip_space().kind == "right":
            self.next()
        else:
            pipe = self._pipeline("template clause", "right")
        nodes.append(Call(name, pipe, word.at))

    def _block(self, nodes: list[Node], word: Token) -> None:
        name = self._template_name("block clause")
        pipe = self._pipeline("block clause", "right")
        self._body(name, "block clause")
        nodes.append(Call(name, pipe, word.at))

    def _template_name(self, context: str) -> str:
        token = self.take()
        if token.kind not in {"string", "raw"}:
            self.unexpected(token, context)
        return self._text(token)

    def _control(self, nodes: list[Node], word: Token) -> None:
        """Parse if, with or range; an `else if` is an if within the else."""
        known = len(self.scope.names)
        pipe = self._pipeline(word.kind, "right")
        inside = len(self.scope.names)
        self.scope.ranges += word.kind == "range"
        body, end = self._list()
        self.scope.ranges -= word.kind == "range"
        del self.scope.names[inside:]
        other: tuple[Node, ...] = ()
        if end.kind == "else":
            other = self._else(word.kind)
        del self.scope.names[known:]
        if word.kind == "range":
            nodes.append(Range(pipe, body, other, word.at))
        else:
            nodes.append(Branch(pipe, body, other, moves=word.kind == "with", at=word.at))

    def _else(self, context: str) -> tuple[Node, ...]:
        word = self.peek()
        if word.kind == context and context in {"if", "with"}:
            self.next()
            self.deeper()
            inner: list[Node] = []
            self._control(inner, word)
            self.depth -= 1
            return tuple(inner)
        other, end = self._list()
        if end.kind != "closed":
            self.fail("expected end; found {{else}}", end.at)
        return other

    # ------------------------------------------------------------------ pipelines

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


def _is_empty(body: Body) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in body.nodes)


_Control = Callable[[_Parser, list[Node], Token], None]
_CONTROLS: dict[str, _Control] = {
    "if": _Parser._control,  # noqa: SLF001 -- this class's own table
    "with": _Parser._control,  # noqa: SLF001
    "range": _Parser._control,  # noqa: SLF001
    "break": _Parser._break,  # noqa: SLF001
    "continue": _Parser._break,  # noqa: SLF001
    "template": _Parser._template,  # noqa: SLF001
    "block": _Parser._block,  # noqa: SLF001
}
_TERMS: dict[str, Callable[[_Parser, Token], Operand]] = {
    "word": _Parser._name,  # noqa: SLF001
    "dot": lambda _parser, _token: Dot(),
    "nil": lambda _parser, _token: Nil(),
    "variable": _Parser._variable,  # noqa: SLF001
    "field": lambda _parser, token: Field((token.text[1:],)),
    "bool": lambda _parser, token: Literal(token.text == "true"),
    "char": lambda _parser, token: numbers.character(token.text),
    "number": lambda _parser, token: numbers.number(token.text),
    "complex": lambda _parser, token: numbers.complex_number(token.text),
    "open": _Parser._parenthesis,  # noqa: SLF001
    "string": lambda parser, token: Literal(parser._text(token)),  # noqa: SLF001
    "raw": lambda parser, token: Literal(parser._text(token)),  # noqa: SLF001
}
