"""Reads operands of expressions: constants, names, lists, maps, calls, closures, and what follows.

An operand may hold whole expressions, so that operands and operators read each other.
"""

from abc import ABC, abstractmethod

from spine.lang.exprlang import nodes
from spine.lang.exprlang.lexer import BYTES, END, IDENTIFIER, NUMBER, STRING, Token
from spine.lang.exprlang.nodes import Dialect, Node, SyntaxFault
from spine.lang.exprlang.words import DEEPEST, SAME, Words, text_of

_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}


PREDICATES_15 = {
    "all": 2,
    "none": 2,
    "any": 2,
    "one": 2,
    "filter": 2,
    "map": 2,
    "count": 2,
    "find": 2,
    "findIndex": 2,
    "findLast": 2,
    "findLastIndex": 2,
    "groupBy": 2,
    "reduce": 3,
}
"""Name -> most arguments. The second is a piece of program."""
PREDICATES_17 = PREDICATES_15 | {"sum": 2, "sortBy": 3}
_BODY_OPTIONAL = frozenset(["count", "sum"])


class Primaries(Words, ABC):
    """Reads operands; what combines them is left to whoever inherits this."""

    def __init__(self, words: list[Token], dialect: Dialect, builtins: frozenset[str]) -> None:
        super().__init__(words)
        self._later = dialect == "1.17"
        self._builtins = builtins
        self._predicates = PREDICATES_17 if self._later else PREDICATES_15
        self._closures = 0

    @abstractmethod
    def sequence(self) -> Node:
        """Read expressions with `;` between them."""

    @abstractmethod
    def expression(self, least: int = 0) -> Node:
        """Read operands and operators that bind at least so tightly."""

    def _operand(self) -> Node:
        word = self._word
        if word.is_(*_UNARY):
            self._next()
            operand = self.expression(_UNARY[str(word.value)])
            name = SAME.get(str(word.value), str(word.value))
            return self._postfix(nodes.Unary(word.at, name, operand))
        if self._take("("):
            node = self.sequence()
            self._expect(")")
            return self._postfix(node)
        if word.is_("#", "."):
            if not self._closures:
                raise SyntaxFault(f"{text_of(word)} has no meaning outside of a closure", word.at)
            return self._postfix(self._pointer())
        if self._later and word.is_("::"):
            self._next()
            word = self._next()
            if word.kind != IDENTIFIER or not self._take("("):
                raise self._unexpected("a call is missing after ::")
            return self._postfix(self._call(word, str(word.value), []))
        return self._simple()

    def _pointer(self) -> Node:
        if self._word.is_("."):  # .x is #.x
            return nodes.Pointer(self._word.at, "")
        at, name = self._next().at, ""
        if self._word.kind == IDENTIFIER:
            name = str(self._next().value)
        return nodes.Pointer(at, name)

    def _simple(self) -> Node:
        word = self._next()
        if word.kind == NUMBER:
            kind = nodes.INT if isinstance(word.value, int) else nodes.FLOAT
            return nodes.Const(word.at, word.value, kind=kind)
        if word.kind == BYTES:
            return nodes.Const(word.at, word.value, kind=nodes.BYTES)
        if word.kind == STRING:
            node = nodes.Const(word.at, word.value, kind=nodes.STRING)
            return self._postfix(node) if self._later else node
        if word.kind == IDENTIFIER:
            return self._named(word)
        if word.is_("["):
            return self._postfix(nodes.Array(word.at, self._list("]", trailing=True)))
        if word.is_("{"):
            return self._postfix(self._map(word))
        self._at -= word.kind != END
        raise self._unexpected()

    def _named(self, word: Token) -> Node:
        name = word.value
        if word.kind != IDENTIFIER or not isinstance(name, str):
            self._at -= word.kind != END
            raise self._unexpected("a name is missing")
        if name in {"true", "false"}:
            return nodes.Const(word.at, name == "true", kind=nodes.BOOL)
        if name == "nil":
            return nodes.Const(word.at, None, kind=nodes.NIL)
        if self._take("("):
            return self._postfix(self._call(word, name, []))
        return self._postfix(nodes.Name(word.at, name))

    def _list(self, close: str, *, trailing: bool) -> list[Node]:
        """Read expressions with commas between them, and the bracket that closes them."""
        items: list[Node] = []
        while not self._take(close):
            if items:
                self._more(close)
                if trailing and self._take(close):
                    break
            items.append(self.expression())
        return items

    def _more(self, close: str) -> None:
        """Take the comma after which more comes; at the end it is the bracket that is missing."""
        if self._word.kind == END:
            raise self._unexpected(f"{close} is missing")
        self._expect(",")

    def _map(self, opened: Token) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while not self._take("}"):
            if pairs:
                self._more("}")
                if self._take("}"):
                    break
            pairs.append((self._key(), self.expression()))
        return nodes.Map(opened.at, pairs)

    def _key(self) -> Node:
        word = self._word
        key: Node
        if word.kind in {IDENTIFIER, STRING, NUMBER}:
            self._next()
            key = nodes.Const(word.at, word.written or str(word.value), kind=nodes.STRING)
        elif word.is_("("):
            key = self.expression()
        else:
            raise self._unexpected("a key is a name, a text, a number or in parentheses")
        self._expect(":")
        return key

    # ------------------------------------------------------------------------ calls

    def _call(self, word: Token, name: str, given: list[Node]) -> Node:
        if name in self._predicates:
            return self._predicate(word, name, given)
        args = given + self._list(")", trailing=self._later)
        if name in self._builtins:
            return nodes.Builtin(word.at, name, args)
        return nodes.Call(word.at, nodes.Name(word.at, name), args)

    def _predicate(self, word: Token, name: str, given: list[Node]) -> Node:
        items = given[0] if given else self.expression()
        body: Node | None = None
        more: Node | None = None
        if not given:
            body = self._second(name)
        elif not self._word.is_(")"):
            body = self._closure()
        if body is None and (name not in _BODY_OPTIONAL or not self._later):
            raise self._unexpected(f"{name} needs a closure")
        takes_more = body is not None and self._predicates[name] > 2  # noqa: PLR2004
        if takes_more and self._take(",") and not (self._later and self._word.is_(")")):
            more = self.expression()
        if self._later:
            self._take(",")
        self._expect(")")
        return nodes.Predicate(word.at, name, items, body, more)

    def _second(self, name: str) -> Node | None:
        if self._word.is_(")") and name in _BODY_OPTIONAL and self._later:
            return None
        self._expect(",")
        if self._later and self._word.is_(")") and name in _BODY_OPTIONAL:
            return None
        return self._closure()

    def _closure(self) -> Node:
        braces = self._take("{")
        self._closures += 1
        body = self.sequence() if braces and self._later else self.expression()
        self._closures -= 1
        if braces:
            self._expect("}")
        return body

    # ------------------------------------------------------------------------ behind an operand

    def _postfix(self, node: Node) -> Node:
        steps = 0
        while self._word.is_(".", "?.", "["):
            steps += 1
            if steps > DEEPEST:
                raise SyntaxFault(f"it has more than {DEEPEST} parts", self._word.at)
            word = self._next()
            optional = word.value == "?."
            if word.value == "[":
                node = self._index(node, word.at, optional=False)
            elif optional and self._later and self._take("["):
                node = self._index(node, word.at, optional=True)
            else:
                node = self._dotted(node, word.at, optional=optional)
        return node

    def _dotted(self, node: Node, at: int, *, optional: bool) -> Node:
        word = self._word
        named = word.kind == IDENTIFIER
        if not named and not (word.kind != STRING and str(word.value).isidentifier()):
            raise self._unexpected("a name is missing")
        self._next()
        chained = isinstance(node, nodes.Chain)
        base = node.inner if isinstance(node, nodes.Chain) else node
        key = nodes.Const(word.at, str(word.value), kind=nodes.STRING)
        made: Node = nodes.Member(word.at, base, key, optional, named=True)
        if self._take("("):
            made = nodes.Call(word.at, made, self._list(")", trailing=self._later))
        return nodes.Chain(at, made) if chained or optional else made

    def _index(self, node: Node, at: int, *, optional: bool) -> Node:
        start: Node | None = None
        if not self._word.is_(":"):
            start = self.expression()
        if self._take(":"):
            stop = None if self._word.is_("]") else self.expression()
            self._expect("]")
            return nodes.Slice(at, node, start, stop)
        self._expect("]")
        assert start is not None
        if not optional:
            return nodes.Member(at, node, start)
        base = node.inner if isinstance(node, nodes.Chain) else node
        return nodes.Chain(at, nodes.Member(at, base, start, optional=True))
