"""Reads jq programs: gojq's dialect without modules."""

from typing import NamedTuple

from typing_extensions import override

from spine.lang.jq import nodes as n
from spine.lang.jq.lexer import SyntaxFault
from spine.lang.jq.nodes import words
from spine.lang.jq.terms import Terms

_KEYWORDS = words(
    "and as break catch def elif else end foreach if import include label module or "
    "reduce then try __loc__"
)
_UPDATES = frozenset(["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="])
_COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])


class Program(NamedTuple):
    """A program that was read."""

    tree: n.Node
    calls: frozenset[str]
    """Functions that it calls and does not define, as name/number of arguments."""
    variables: frozenset[str]
    """Names of the variables that it uses."""
    defines: bool
    """Whether it defines functions."""


def parse(text: str) -> Program:
    """Return the program as a tree. Raises SyntaxFault, also when it is nested beyond reason."""
    try:
        parser = _Parser(text)
        tree = parser.pipe()
        if parser.next.kind != "end":
            raise parser.unexpected()
    except RecursionError:
        raise SyntaxFault("it is nested too deeply") from None
    calls = {call for call in parser.calls if call.partition("/")[0] not in parser.defined}
    return Program(tree, frozenset(calls), frozenset(parser.variables), bool(parser.defined))


class _Parser(Terms):
    """Reads what combines terms: operators by how tightly they bind, bindings, definitions."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.defined: set[str] = set()

    @override
    def pipe(self) -> n.Node:
        if self._is("def"):
            return self._definition()
        left = self._comma()
        if self._accept("|"):
            return n.Pipe(left, self.pipe())
        return left

    def _comma(self) -> n.Node:
        left = self._alternative()
        while not self._in_value and self._accept(","):
            left = n.Comma(left, self._alternative())
        return left

    @override
    def _alternative(self) -> n.Node:
        left = self._update()
        if self._accept("//"):
            return n.Binary("//", left, self._alternative())
        return left

    def _update(self) -> n.Node:
        left = self._or()
        if self.next.text in _UPDATES and self.next.kind == "sign":
            operator = self._advance().text
            right = self._alternative() if operator == "//=" else self._or_alternative()
            return n.Update(operator, left, right)
        return left

    def _or_alternative(self) -> n.Node:
        left = self._or()
        if self._is("//"):
            self._advance()
            return n.Binary("//", left, self._alternative())
        return left

    def _or(self) -> n.Node:
        left = self._and()
        while self._accept("or"):
            left = n.Binary("or", left, self._and())
        return left

    def _and(self) -> n.Node:
        left = self._comparison()
        while self._accept("and"):
            left = n.Binary("and", left, self._comparison())
        return left

    def _comparison(self) -> n.Node:
        left = self._sum()
        if self.next.text in _COMPARISONS and self.next.kind == "sign":
            operator = self._advance().text
            return n.Binary(operator, left, self._sum())
        return left

    def _sum(self) -> n.Node:
        left = self._product()
        while self._is("+", "-"):
            operator = self._advance().text
            left = n.Binary(operator, left, self._product())
        return left

    def _product(self) -> n.Node:
        left = self._postfix()
        while self._is("*", "/", "%"):
            operator = self._advance().text
            left = n.Binary(operator, left, self._postfix())
        return left

    def _postfix(self) -> n.Node:
        term = self._signed()
        if self._is("as") and not self._in_value:
            return self._binding(term)
        return term

    def _binding(self, source: n.Node) -> n.Node:
        self._expect("as")
        patterns = [self._pattern()]
        while self._accept("?//"):
            patterns.append(self._pattern())
        self._expect("|")
        return n.Bind(source, tuple(patterns), self.pipe())

    def _definition(self) -> n.Node:
        self._expect("def")
        if self.next.kind != "name" or self.next.text in _KEYWORDS:
            raise self.unexpected()
        name = self._advance().text
        parameters: list[str] = []
        if self._accept("("):
            while True:
                if self.next.kind not in {"name", "variable"}:
                    raise self.unexpected()
                parameters.append(self._advance().text)
                if self._accept(")"):
                    break
                self._expect(";")
        self._expect(":")
        body = self._enclosed()
        self._expect(";")
        self.defined |= {name, *(parameter.removeprefix("$") for parameter in parameters)}
        return n.Define(name, tuple(parameters), body, self.pipe())
