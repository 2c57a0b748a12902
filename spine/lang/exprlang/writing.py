"""From a tree back to words: what a part of an expression says, for those who explain it.

The text is in the author's words as far as the tree has them, and parses to the same tree; white
space and superfluous parentheses are not kept. What was computed of literals is a literal.
"""

import json
from collections.abc import Callable
from typing import Any

from spine.lang.exprlang import nodes
from spine.lang.exprlang.nodes import Node

_LEVELS = {
    **dict.fromkeys(["or"], 10),
    **dict.fromkeys(["and"], 15),
    **dict.fromkeys(["==", "!=", "<", ">", "<=", ">=", "in", "matches", "contains"], 20),
    **dict.fromkeys(["startsWith", "endsWith"], 20),
    "..": 25,
    **dict.fromkeys(["+", "-"], 30),
    **dict.fromkeys(["*", "/", "%"], 60),
    "**": 100,
    "??": 500,
}
_NEGATED = frozenset(["in", "matches", "contains", "startsWith", "endsWith"])
_NOT, _SIGN, _TIGHT = 50, 90, 1000
"""How tightly `not`, a sign and what stands before a point bind."""


def written(node: Node) -> str:
    """Return a part of an expression as it may be written."""
    return _at(node, 0)


def _at(node: Node, least: int) -> str:
    """Return a part for a place where it has to bind so tightly, in parentheses if it does not."""
    text, binds = _WRITERS[type(node)](node)
    return text if binds >= least else f"({text})"


def _const(node: nodes.Const) -> tuple[str, int]:
    value = node.value
    if value is None:
        return "nil", _TIGHT
    if isinstance(value, bool):
        return str(value).lower(), _TIGHT
    if isinstance(value, str):
        return _quoted(value), _TIGHT
    return str(value), _TIGHT if not str(value).startswith("-") else _SIGN


def _quoted(text: str) -> str:
    """Return a text in quotes: single ones, where nothing has to be escaped."""
    plain = text.isprintable() and "'" not in text and "\\" not in text
    return f"'{text}'" if plain else json.dumps(text, ensure_ascii=False)


def _name(node: nodes.Name) -> tuple[str, int]:
    return node.name, _TIGHT


def _pointer(node: nodes.Pointer) -> tuple[str, int]:
    return f"#{node.name}", _TIGHT


def _member(node: nodes.Member) -> tuple[str, int]:
    key, sign = node.key, "?." if node.optional else "."
    if node.named and isinstance(key, nodes.Const):
        bare = isinstance(node.base, nodes.Pointer) and not node.base.name and not node.optional
        base = "" if bare else _at(node.base, _TIGHT)
        return f"{base}{sign}{key.value}", _TIGHT
    return f"{_at(node.base, _TIGHT)}{'?.' if node.optional else ''}[{written(key)}]", _TIGHT


def _slice(node: nodes.Slice) -> tuple[str, int]:
    start, stop = ("" if one is None else written(one) for one in (node.start, node.stop))
    return f"{_at(node.base, _TIGHT)}[{start}:{stop}]", _TIGHT


def _chain(node: nodes.Chain) -> tuple[str, int]:
    return _at(node.inner, _TIGHT), _TIGHT


def _listed(parts: list[Node]) -> str:
    return ", ".join(map(written, parts))


def _call(node: nodes.Call) -> tuple[str, int]:
    return f"{_at(node.callee, _TIGHT)}({_listed(node.args)})", _TIGHT


def _builtin(node: nodes.Builtin) -> tuple[str, int]:
    return f"{node.name}({_listed(node.args)})", _TIGHT


def _predicate(node: nodes.Predicate) -> tuple[str, int]:
    parts = [written(node.items)]
    if node.body is not None:
        parts.append(f"{{{written(node.body)}}}")
    if node.more is not None:
        parts.append(written(node.more))
    return f"{node.name}({', '.join(parts)})", _TIGHT


def _unary(node: nodes.Unary) -> tuple[str, int]:
    inner = node.operand
    if node.operator != "not":
        return f"{node.operator}{_at(inner, _SIGN)}", _SIGN
    if isinstance(inner, nodes.Binary) and inner.operator in _NEGATED:
        return _infix(inner, f"not {inner.operator}")
    return f"not {_at(inner, _NOT)}", _NOT


def _binary(node: nodes.Binary) -> tuple[str, int]:
    return _infix(node, node.operator)


def _infix(node: nodes.Binary, operator: str) -> tuple[str, int]:
    level = _LEVELS[node.operator]
    left, right = (level + 1, level) if operator == "**" else (level, level + 1)
    if level == _LEVELS["=="]:
        left += 1  # comparisons in a row mean something else
    sign = operator if operator == ".." else f" {operator} "
    name = node.operator
    return f"{_side(name, node.left, left)}{sign}{_side(name, node.right, right)}", level


def _side(operator: str, side: Node, least: int) -> str:
    """Return a side of an operator; `??` stands beside no other one without parentheses."""
    if isinstance(side, nodes.Binary) and side.operator != operator:
        least = _TIGHT if "??" in {side.operator, operator} else least
    return _at(side, least)


def _conditional(node: nodes.Conditional) -> tuple[str, int]:
    return f"{_at(node.test, 1)} ? {_at(node.then, 1)} : {_at(node.other, 1)}", 0


def _let(node: nodes.Let) -> tuple[str, int]:
    return f"let {node.name} = {_at(node.value, 1)}; {written(node.body)}", 0


def _sequence(node: nodes.Sequence) -> tuple[str, int]:
    return "; ".join(_at(one, 1) for one in node.steps), 0


def _array(node: nodes.Array) -> tuple[str, int]:
    return f"[{_listed(node.items)}]", _TIGHT


def _map(node: nodes.Map) -> tuple[str, int]:
    pairs = (f"{_key(key)}: {written(value)}" for key, value in node.pairs)
    return f"{{{', '.join(pairs)}}}", _TIGHT


def _key(key: Node) -> str:
    return _quoted(key.value) if isinstance(key, nodes.Const) else f"({written(key)})"


_WRITERS: dict[type, Callable[[Any], tuple[str, int]]] = {
    nodes.Const: _const,
    nodes.Name: _name,
    nodes.Pointer: _pointer,
    nodes.Member: _member,
    nodes.Slice: _slice,
    nodes.Chain: _chain,
    nodes.Call: _call,
    nodes.Builtin: _builtin,
    nodes.Predicate: _predicate,
    nodes.Unary: _unary,
    nodes.Binary: _binary,
    nodes.Conditional: _conditional,
    nodes.Let: _let,
    nodes.Sequence: _sequence,
    nodes.Array: _array,
    nodes.Map: _map,
}
