"""What can be known of an expression before it runs: kinds of values, and operands that never fit.

The peer refuses `1 == "1"` but not `a == "1"`: only what is written out has a kind. What it
refuses never evaluates there, so it is refused here as well, and an unknown function besides.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from spine.errors import ConfigError
from spine.lang import regex
from spine.lang.exprlang import nodes
from spine.lang.exprlang.applying import applied, method
from spine.lang.exprlang.builtins import SIGNATURES
from spine.lang.exprlang.kinds import METHODS
from spine.lang.exprlang.nodes import (
    ANY_MAP,
    BOOL,
    BYTES,
    FLOAT,
    FUNC,
    INT,
    MAP,
    NIL,
    UNKNOWN,
    Dialect,
    Kind,
    Node,
    SyntaxFault,
    array,
)
from spine.lang.exprlang.operands import FITS, common, comparable, contained, numeric_kinds, ordered
from spine.lang.exprlang.primaries import PREDICATES_15, PREDICATES_17

_NILS = frozenset(["null", "none", "None", "undefined", "NULL"])
"""What other languages call nil."""


class Checker:
    """Fills in the kinds of a tree. Raises SyntaxFault for what can never work."""

    def __init__(
        self,
        dialect: Dialect,
        functions: Mapping[str, Any],
        *,
        names: frozenset[str] | None,
        members: frozenset[str] = frozenset(),
    ) -> None:
        self._later = dialect == "1.17"
        self._functions = functions
        self._names = names
        self._signatures = SIGNATURES[dialect]
        self._words = frozenset(self._signatures) | frozenset(
            PREDICATES_17 if self._later else PREDICATES_15
        )
        self._words -= members
        self._variables: dict[str, Kind] = {}
        self._elements: list[tuple[Kind, dict[str, Kind]]] = []

    def check(self, node: Node) -> Kind:
        """Return the kind of a part."""
        kind: Kind = getattr(self, f"_{type(node).__name__.lower()}")(node)
        node.kind = kind
        return kind

    # ------------------------------------------------------------------------ leaves

    def _const(self, node: nodes.Const) -> Kind:
        return node.kind

    def _name(self, node: nodes.Name) -> Kind:
        name = node.name
        if name in self._variables:
            return self._variables[name]
        if name == "$env":
            return UNKNOWN
        if name in self._words:
            return FUNC
        if self._names is not None and name not in self._names and name not in self._functions:
            known = [*self._names, *self._functions]
            near = difflib.get_close_matches(name, known, n=1)
            near = near or ["nil"] * (name in _NILS)
            hint = _meant(near) or f" (there is {', '.join(sorted(known))})"
            raise SyntaxFault(f"nothing is called {name}" + hint, node.at)
        return UNKNOWN

    def _pointer(self, node: nodes.Pointer) -> Kind:
        element, more = self._elements[-1]
        if not node.name:
            return element
        if node.name not in more:
            raise SyntaxFault(f"#{node.name} has no meaning here", node.at)
        return more[node.name]

    # ------------------------------------------------------------------------ access

    def _member(self, node: nodes.Member) -> Kind:
        base = self.check(node.base)
        key = self.check(node.key)
        if base is UNKNOWN:
            return self._of_environment(node)
        _fits_member(base, key, node)
        if base.name == "array":
            return base.elem or UNKNOWN
        if base is MAP:
            return UNKNOWN
        if base is ANY_MAP or base.name == "groups":
            return array() if base.name == "groups" else UNKNOWN
        if isinstance(node.key, nodes.Const) and node.key.value in METHODS.get(base.name, {}):
            return FUNC
        if base is BYTES and key.name in {"int", "unknown"}:
            return INT
        raise SyntaxFault(f"{base} has no member {_written(node.key)}", node.at)

    def _of_environment(self, node: nodes.Member) -> Kind:
        """Return what `$env.type` is: in 1.15 a function, though its value is the variable's."""
        named = isinstance(node.key, nodes.Const) and node.key.value in self._words
        return FUNC if named and _is_environment(node.base) and not self._later else UNKNOWN

    def _slice(self, node: nodes.Slice) -> Kind:
        base = self.check(node.base)
        for bound in (node.start, node.stop):
            fits = bound is None or self.check(bound).name in {"int", "unknown"}
            if bound is not None and not fits and base is not UNKNOWN:
                raise SyntaxFault(f"a slice begins and ends at an int, not {bound.kind}", node.at)
        if base.name not in {"array", "string", "bytes", "unknown"}:
            raise SyntaxFault(f"{base} has no slices", node.at)
        return base

    def _chain(self, node: nodes.Chain) -> Kind:
        return self.check(node.inner)

    # ------------------------------------------------------------------------ calls

    def _call(self, node: nodes.Call) -> Kind:
        callee = node.callee
        given = None
        if isinstance(callee, nodes.Name):
            self._known_function(callee)
        elif isinstance(callee, nodes.Member):
            self._known_member(callee)
            base = self.check(callee)
            if base is FUNC and isinstance(callee.key, nodes.Const):
                given = METHODS[callee.base.kind.name][callee.key.value]
            elif base is not UNKNOWN:
                raise SyntaxFault(f"{base} cannot be called", node.at)
        kinds = [self.check(arg) for arg in node.args]
        if given is None:
            return UNKNOWN
        return method(given, kinds, node)

    def _known_function(self, callee: nodes.Name) -> None:
        name = callee.name
        if name in self._variables:
            return
        if callable(self._functions.get(name)):
            return
        known = [*self._words, *(k for k, v in self._functions.items() if callable(v))]
        near = difflib.get_close_matches(name, known, n=1)
        raise SyntaxFault(f"no function is called {name}" + _meant(near), callee.at)

    def _known_member(self, callee: nodes.Member) -> None:
        """Refuse `sprig.nosuch(…)`."""
        base, key = callee.base, callee.key
        if not isinstance(base, nodes.Name) or base.name in self._variables:
            return
        namespace = self._functions.get(base.name)
        if not isinstance(namespace, Mapping) or not isinstance(key, nodes.Const):
            return
        if not callable(namespace.get(key.value)):
            near = difflib.get_close_matches(str(key.value), list(namespace), n=1)
            raise SyntaxFault(f"{base.name} has no function {key.value}" + _meant(near), callee.at)

    def _builtin(self, node: nodes.Builtin) -> Kind:
        kinds = [self.check(arg) for arg in node.args]
        if node.name == "get" and len(kinds) == 2:  # noqa: PLR2004 -- of what, and which
            _fits_member(kinds[0], kinds[1], node)
            if _is_environment(node.args[0]) and not self._later:
                return NIL
        return applied(self._signatures[node.name], node, kinds)

    def _predicate(self, node: nodes.Predicate) -> Kind:
        name = node.name
        items = self.check(node.items)
        if items.name not in {"array", "unknown"}:
            raise SyntaxFault(f"{name} takes a list, not {items}", node.items.at)
        element = items.elem or UNKNOWN
        more: dict[str, Kind] = {}
        if name in {"map", "reduce"}:
            more["index"] = INT
        if name == "reduce":
            more["acc"] = UNKNOWN
        body = UNKNOWN
        if node.body is not None:
            self._elements.append((element, more))
            body = self.check(node.body)
            self._elements.pop()
            if body is NIL:
                raise SyntaxFault("a closure cannot be nil", node.body.at)
        if node.more is not None:
            self.check(node.more)
        if name in _TESTS and node.body is not None and body.name not in {"bool", "unknown"}:
            raise SyntaxFault(f"the closure of {name} gives {body}, not bool", node.body.at)
        order = node.more.kind if name == "sortBy" and node.more is not None else UNKNOWN
        if order.name not in {"string", "unknown"}:
            raise SyntaxFault(f"the order of sortBy is a string, not {order}", node.at)
        return self._given(name, items, body)

    def _given(self, name: str, items: Kind, body: Kind) -> Kind:
        """Return the kind of what a function with a closure gives."""
        element = (items.elem or UNKNOWN) if self._later else UNKNOWN
        given = {
            **dict.fromkeys(["all", "none", "any", "one"], BOOL),
            **dict.fromkeys(["count", "findIndex", "findLastIndex"], INT),
            **dict.fromkeys(["find", "findLast"], element),
            **dict.fromkeys(["filter", "sortBy"], array(element)),
            "map": array(body if self._later else UNKNOWN),
            "groupBy": Kind("groups"),
            "reduce": body,
            "sum": _summed(body, element),
        }
        return given.get(name, UNKNOWN)

    # ------------------------------------------------------------------------ operators

    def _unary(self, node: nodes.Unary) -> Kind:
        kind = self.check(node.operand)
        wanted = {"bool"} if node.operator == "not" else numeric_kinds(self._later)
        if kind is not UNKNOWN and kind.name not in wanted:
            raise SyntaxFault(f"{node.operator} {kind} is not possible", node.at)
        return BOOL if node.operator == "not" else kind

    def _binary(self, node: nodes.Binary) -> Kind:
        left, right = self.check(node.left), self.check(node.right)
        operator = node.operator
        kind = self._operated(operator, left, right, node)
        if kind is None:
            raise SyntaxFault(f"{left} {operator} {right} is not possible", node.at)
        if operator == "matches" and isinstance(node.right, nodes.Const):
            try:
                regex.compile(node.right.value)
            except ConfigError as exc:
                raise SyntaxFault(exc.message, node.right.at) from exc
        return kind

    def _operated(self, operator: str, left: Kind, right: Kind, node: nodes.Binary) -> Kind | None:
        """Return the kind of a result, None where the operands never fit."""
        if operator == "??":
            return left if left == right else UNKNOWN
        if operator in {"==", "!="}:
            return BOOL if comparable(left, right, self._later) else None
        if operator == "in":
            return BOOL if contained(left, right, node, self._later) else None
        fits = FITS.get(operator, ordered)
        return fits(left, right, self._later)

    # ------------------------------------------------------------------------ forms

    def _conditional(self, node: nodes.Conditional) -> Kind:
        test = self.check(node.test)
        if test.name not in {"bool", "unknown"}:
            raise SyntaxFault(f"a condition is a bool, not {test}", node.test.at)
        then, other = self.check(node.then), self.check(node.other)
        if then is NIL:
            return other
        if other is NIL or then == other:
            return then
        return UNKNOWN

    def _let(self, node: nodes.Let) -> Kind:
        if (
            node.name in self._words
            or node.name in self._variables
            or callable(self._functions.get(node.name))
        ):
            raise SyntaxFault(f"{node.name} has a meaning already", node.at)
        kind = self.check(node.value)
        self._variables[node.name] = kind
        body = self.check(node.body)
        del self._variables[node.name]
        return body

    def _sequence(self, node: nodes.Sequence) -> Kind:
        return [self.check(step) for step in node.steps][-1]

    def _array(self, node: nodes.Array) -> Kind:
        kinds = [self.check(item) for item in node.items]
        return array(common(kinds) if self._later else UNKNOWN)

    def _map(self, node: nodes.Map) -> Kind:
        for key, value in node.pairs:
            self.check(key)
            self.check(value)
        return MAP


_TESTS = frozenset(PREDICATES_15) - {"map", "groupBy", "reduce"}
"""Functions whose closure gives a bool."""


def _is_environment(node: Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "$env"


def _summed(body: Kind, element: Kind) -> Kind:
    kind = element if body is UNKNOWN else body
    return kind if kind in {INT, FLOAT} else UNKNOWN


def _fits_member(base: Kind, key: Kind, node: Node) -> None:
    if base.name == "array" and key.name not in {"int", "unknown"}:
        raise SyntaxFault(f"elements of a list are taken by int, not by {key}", node.at)
    if base is MAP and key.name not in {"string", "unknown"}:
        raise SyntaxFault(f"members of a map are taken by string, not by {key}", node.at)


def _meant(near: list[str]) -> str:
    return f" (did you mean {near[0]}?)" if near else ""


def _written(key: Node) -> str:
    return str(key.value) if isinstance(key, nodes.Const) else "of that name"
