"""The grammar of templates: texts, actions, `if`, `range`, `with`, `define`, `block`."""

from collections.abc import Callable, Collection

from spine.lang.gotemplate.lexer import Token, fail
from spine.lang.gotemplate.pipelines import Pipelines, Scope
from spine.lang.gotemplate.tree import (
    Action,
    Body,
    Branch,
    Call,
    Leave,
    Node,
    Range,
    Text,
    Tree,
)

_LONGEST = 1_000_000
"""Letters of a template."""


def parse(source: str, functions: Collection[str], refused: Callable[[str], str]) -> Tree:
    """Parse a template.

    `refused` gives the reason why a function that is not among `functions` is left out on
    purpose, or an empty text. Raises ConfigError.
    """
    if len(source) > _LONGEST:
        fail(source, 0, f"{len(source)} letters are too long for a template")
    return _Parser(source, functions, refused).parse()


class _Parser(Pipelines):
    """Reads bodies, and the controls in them."""

    def __init__(
        self, source: str, functions: Collection[str], refused: Callable[[str], str]
    ) -> None:
        super().__init__(source, functions, refused)
        self.tree = Tree()

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
        outer, self.scope = self.scope, Scope()
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
