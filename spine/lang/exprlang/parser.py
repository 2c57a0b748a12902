"""From words to a tree: operator precedence, chains of comparisons, `let` and `if`."""

from collections.abc import Iterable

from typing_extensions import override

from spine.lang.exprlang import nodes
from spine.lang.exprlang.lexer import END, IDENTIFIER, Token, tokens
from spine.lang.exprlang.nodes import Dialect, Node, SyntaxFault
from spine.lang.exprlang.primaries import Primaries
from spine.lang.exprlang.words import DEEPEST, SAME, text_of

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
_NEGATED = frozenset(["in", "matches", "contains", "startsWith", "endsWith"])
_ORDERING = frozenset(["<", ">", "<=", ">="])


def parse(text: str, dialect: Dialect, builtins: Iterable[str]) -> Node:
    """Return the tree of an expression. Raises SyntaxFault."""
    words = tokens(text, dialect)
    if len(words) > _LONGEST:
        raise SyntaxFault(f"it is longer than {_LONGEST} words", words[_LONGEST].at)
    parser = _Parser(words, dialect, frozenset(builtins))
    node = parser.sequence() if dialect == "1.17" else parser.expression()
    parser.end()
    return node


class _Parser(Primaries):
    """Precedence climbing over the words of one expression."""

    def __init__(self, words: list[Token], dialect: Dialect, builtins: frozenset[str]) -> None:
        super().__init__(words, dialect, builtins)
        self._depth = 0

    @override
    def sequence(self) -> Node:
        """Read expressions up to the end, with `;` between them."""
        steps = [self.expression()]
        at = self._word.at
        while self._later and self._take(";"):
            if self._word.kind == END or self._word.is_(")", "}"):
                break
            steps.append(self.expression())
        return steps[0] if len(steps) == 1 else nodes.Sequence(at, steps)

    @override
    def expression(self, least: int = 0) -> Node:
        """Read operands and operators that bind at least so tightly."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise SyntaxFault(f"it is nested more than {DEEPEST} levels deep", self._word.at)
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
                    f"?? and {text_of(operator)} cannot be mixed: put one of them in parentheses",
                    operator.at,
                )
            left = self._binary(left, operator, negated=negated)
            coalesced = operator.value == "??"
        if least == 0:
            return self._conditional(left)
        return left

    def _pipe(self, left: Node) -> Node:
        word = self._next()
        if word.kind != IDENTIFIER:
            self._at -= word.kind != END
            raise self._unexpected("a function is missing after |")
        self._expect("(")
        return self._call(word, str(word.value), [left])

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
        node: Node = nodes.Binary(operator.at, SAME.get(name, name), left, right)
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
