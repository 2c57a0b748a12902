"""From words to a tree: operator precedence, chains, closures."""

from collections.abc import Iterable

from spine.lang.exprlang import nodes
from spine.lang.exprlang.lexer import BYTES, END, IDENTIFIER, NUMBER, STRING, Token, tokens
from spine.lang.exprlang.nodes import Dialect, Node, SyntaxFault

_DEEPEST = 64
"""Levels of nesting; each costs a handful of frames here, when checked and when run."""
_LONGEST = 20_000
"""Words of one expression."""

_BINARY = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "==": 20,
    "!=": 20,
    "<": 20,
    ">": 20,
    "<=": 20,
    ">=": 20,
    "in": 20,
    "matches": 20,
    "contains": 20,
    "startsWith": 20,
    "endsWith": 20,
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
_RIGHT = frozenset(["**", "^"])
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_NEGATED = frozenset(["in", "matches", "contains", "startsWith", "endsWith"])
_ORDERING = frozenset(["<", ">", "<=", ">="])
_SAME = {"||": "or", "&&": "and", "!": "not", "^": "**"}

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


def parse(text: str, dialect: Dialect, builtins: Iterable[str]) -> Node:
    """Return the tree of an expression. Raises SyntaxFault."""
    words = tokens(text, dialect)
    if len(words) > _LONGEST:
        raise SyntaxFault(f"it is longer than {_LONGEST} words", words[_LONGEST].at)
    parser = _Parser(words, dialect, frozenset(builtins))
    node = parser.sequence() if dialect == "1.17" else parser.expression()
    parser.end()
    return node


class _Parser:
    """Precedence climbing over the words of one expression."""

    def __init__(self, words: list[Token], dialect: Dialect, builtins: frozenset[str]) -> None:
        self._words, self._at = words, 0
        self._later = dialect == "1.17"
        self._builtins = builtins
        self._predicates = PREDICATES_17 if self._later else PREDICATES_15
        self._depth = 0
        self._closures = 0

    # ------------------------------------------------------------------------ words

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

    # ------------------------------------------------------------------------ expressions

    def sequence(self) -> Node:
        """Read expressions up to the end, with `;` between them."""
        steps = [self.expression()]
        at = self._word.at
        while self._later and self._take(";"):
            if self._word.kind == END or self._word.is_(")", "}"):
                break
            steps.append(self.expression())
        return steps[0] if len(steps) == 1 else nodes.Sequence(at, steps)

    def expression(self, least: int = 0) -> Node:
        """Read operands and operators that bind at least so tightly."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SyntaxFault(f"it is nested more than {_DEEPEST} levels deep", self._word.at)
        try:
            return self._expression(least)
        finally:
            self._depth -= 1

    def _expression(self, least: int) -> Node:
        if least == 0 and self._word.is_("let"):
            return self._let()
        if least == 0 and self._later and self._word.is_("if"):
            return self._if()
        left = self._operand()
        coalesced = False
        while (found := self._operator(least)) is not None:
            operator, negated = found
            if operator.value == "|":
                left = self._pipe(left)
                coalesced = False
                continue
            if coalesced and operator.value != "??":
                raise SyntaxFault(
                    f"?? and {_text(operator)} cannot be mixed: put one of them in parentheses",
                    operator.at,
                )
            left = self._binary(left, operator, negated=negated)
            coalesced = operator.value == "??"
        if least == 0:
            return self._conditional(left)
        return left

    def _operator(self, least: int) -> tuple[Token, bool] | None:
        """Take the next operator if it binds tightly enough; and whether it is negated."""
        start = self._at
        negated = self._take("not")
        word = self._word
        binds = _BINARY.get(str(word.value)) if word.is_(*_BINARY) else None
        if negated and binds is not None and self._later and word.value not in _NEGATED:
            raise self._unexpected("it cannot stand behind not")
        if binds is None or binds < least:
            if negated and binds is None:
                raise self._unexpected("after not")
            self._at = start
            return None
        return self._next(), negated

    def _binary(self, left: Node, operator: Token, *, negated: bool) -> Node:
        name = str(operator.value)
        least = _BINARY[name] + (name not in _RIGHT)
        if self._later and name in _ORDERING:
            return self._comparison(left, operator, least)
        right = self.expression(least)
        node: Node = nodes.Binary(operator.at, _SAME.get(name, name), left, right)
        return nodes.Unary(operator.at, "not", node) if negated else node

    def _comparison(self, left: Node, operator: Token, least: int) -> Node:
        """Read `a < b`, or `a < b < c`, which compares each with the next."""
        whole: Node | None = None
        while True:
            right = self.expression(least)
            one = nodes.Binary(operator.at, str(operator.value), left, right)
            whole = one if whole is None else nodes.Binary(operator.at, "and", whole, one)
            if not self._word.is_(*_ORDERING):
                return whole
            left, operator = right, self._next()

    def _conditional(self, test: Node) -> Node:
        branches: list[tuple[Node, Node, int]] = []
        node = test
        while self._word.is_("?"):
            at = self._next().at
            then = node if self._take(":") else None
            if then is None:
                then = self.expression()
                self._expect(":")
            branches.append((node, then, at))
            node = self.expression()
        for condition, then, at in reversed(branches):
            node = nodes.Conditional(at, condition, then, node)
        return node

    def _let(self) -> Node:
        at = self._next().at
        name = self._word
        if name.kind != IDENTIFIER:
            raise self._unexpected("a name is missing")
        self._next()
        self._expect("=")
        value = self.expression()
        self._expect(";")
        body = self.sequence()
        return nodes.Let(at, str(name.value), value, body)

    def _if(self) -> Node:
        at = self._next().at
        test = self.expression()
        then = self._block()
        if not self._take("else"):
            raise self._unexpected("else is missing")
        other = self.expression() if self._word.is_("if") else self._block()
        return nodes.Conditional(at, test, then, other)

    def _block(self) -> Node:
        self._expect("{")
        node = self.sequence()
        self._expect("}")
        return node

    # ------------------------------------------------------------------------ operands

    def _operand(self) -> Node:
        word = self._word
        if word.is_(*_UNARY):
            self._next()
            operand = self.expression(_UNARY[str(word.value)])
            name = _SAME.get(str(word.value), str(word.value))
            return self._postfix(nodes.Unary(word.at, name, operand))
        if self._take("("):
            node = self.sequence()
            self._expect(")")
            return self._postfix(node)
        if word.is_("#", "."):
            if not self._closures:
                raise SyntaxFault(f"{_text(word)} has no meaning outside of a closure", word.at)
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
                self._expect(",")
                if trailing and self._take(close):
                    break
            items.append(self.expression())
        return items

    def _map(self, opened: Token) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while not self._take("}"):
            if pairs:
                self._expect(",")
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

    def _pipe(self, left: Node) -> Node:
        word = self._next()
        if word.kind != IDENTIFIER:
            self._at -= word.kind != END
            raise self._unexpected("a function is missing after |")
        self._expect("(")
        return self._call(word, str(word.value), [left])

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
            if steps > _DEEPEST:
                raise SyntaxFault(f"it has more than {_DEEPEST} parts", self._word.at)
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


def _text(word: Token) -> str:
    return str(word.value)
