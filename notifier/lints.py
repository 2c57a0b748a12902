"""What is likely not meant in an expression, though it can be evaluated; found when it is loaded.

Also the help for an error at run time: which member was nil, and where `?.` was missing.
"""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from spine.lang.exprlang import nodes
from spine.lang.exprlang.nodes import Node

_UNKNOWN: Any = object()
"""A value that only a run would tell."""
_SKIPPED: Any = object()
"""The rest of a chain of which something was nil."""


def warnings_of(tree: Node, variables: Collection[str], known: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is doubtful in an expression; `known` are its functions and namespaces."""
    local = {node.name for node in nodes.walk(tree) if isinstance(node, nodes.Let)}
    for node in sorted(nodes.walk(tree), key=lambda one: one.at):
        if isinstance(node, nodes.Name) and node.name not in local:
            yield from _unknown_variable(node, variables, known)
        look = _LOOKS.get(type(node))
        if look is not None:
            yield from look(node)


def _unknown_variable(
    node: nodes.Name, variables: Collection[str], known: Mapping[str, Any]
) -> Iterator[str]:
    if node.name == "$env" or node.name in known or node.name in variables:
        return
    if node.name in _NILS:
        yield f"{node.name} is a variable that does not exist: write nil"
        return
    near = difflib.get_close_matches(node.name, [*variables, *known], n=1)
    meant = f" (did you mean {near[0]}?)" if near else f" (there is {_listed(variables)})"
    yield f"nothing is called {node.name}, so it is nil{meant}"


_NILS = frozenset(("null", "none", "None", "undefined", "NULL"))


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _member(node: nodes.Member) -> Iterator[str]:
    base = node.base
    if not node.named and isinstance(base, nodes.Chain):
        yield f"{written(node)}: the index fails where {written(base)} is nil: write ?.[ ]"
    elif not node.optional and isinstance(base, nodes.Member) and base.optional:
        yield (
            f"{written(node)}: ?. guards {written(base.base)} only, and {written(base)} may be "
            f"nil too: write {written(base)}?{_step(node)}"
        )


def _step(node: nodes.Member) -> str:
    return written(node)[len(written(node.base)) :].lstrip("?")


def _binary(node: nodes.Binary) -> Iterator[str]:
    left, right = node.left, node.right
    if node.operator != "in":
        return
    if isinstance(left, nodes.Unary) and left.operator == "not":
        operand = written(left.operand)
        yield f"!{operand} in … asks for the opposite of {operand}: write {operand} not in …"
    if isinstance(right, nodes.Array) and _has_empty(right):
        yield f"{written(left)} in ['', …] is true for nil as well"


def _has_empty(array: nodes.Array) -> bool:
    values = [item.value for item in array.items if isinstance(item, nodes.Const)]
    return len(values) == len(array.items) and "" in values


def _predicate(node: nodes.Predicate) -> Iterator[str]:
    items = node.items
    inner = items.inner if isinstance(items, nodes.Chain) else items
    if isinstance(inner, nodes.Member) and isinstance(root(inner), nodes.Name):
        text = written(items)
        yield f"{node.name}({text}, …) fails where {text} is nil: write {text} ?? []"


_LOOKS: dict[type, Callable[[Any], Iterator[str]]] = {
    nodes.Member: _member,
    nodes.Binary: _binary,
    nodes.Predicate: _predicate,
}


def volatile(tree: Node) -> Iterator[str]:
    """Yield what makes `oncePer` new with each change of an object."""
    for node in nodes.walk(tree):
        if isinstance(node, nodes.Member) and isinstance(node.key, nodes.Const):
            if node.key.value in _VOLATILE:
                yield f"oncePer reads {written(node)}, which is another one all the time"
        elif isinstance(node, nodes.Builtin) and node.name == "now":
            yield "oncePer reads the clock, so it never is the same twice"


_VOLATILE = frozenset(
    ("resourceVersion", "managedFields", "observedAt", "reconciledAt", "heartbeatTime")
)


# ---------------------------------------------------------------------------- texts of places


def root(node: Node) -> Node:
    """Return what a chain of members begins with."""
    while isinstance(node, nodes.Member | nodes.Chain):
        node = node.base if isinstance(node, nodes.Member) else node.inner
    return node


def written(node: Node, *, guarded_below: Node | None = None) -> str:
    """Return a chain of members as it is written, with `?.` for all that follows a node of it."""
    keys: list[tuple[Node, bool]] = []
    guard = 0
    while isinstance(node, nodes.Member | nodes.Chain):
        if node is guarded_below:
            guard = len(keys)
        if isinstance(node, nodes.Member):
            keys.append((node.key, node.optional))
            node = node.base
        else:
            node = node.inner
    if node is guarded_below:
        guard = len(keys)
    steps = (
        _key(key, "?." if optional or at < guard else "") for at, (key, optional) in enumerate(keys)
    )
    return _head(node) + "".join(reversed(list(steps)))


def _head(node: Node) -> str:
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Pointer(name=name):
            return f"#{name}"
        case nodes.Const(value=value):
            return repr(value) if isinstance(value, str) else str(value)
        case nodes.Builtin(name=name) | nodes.Predicate(name=name):
            return f"{name}(…)"
    return "(…)"


def _key(key: Node, sign: str) -> str:
    if isinstance(key, nodes.Const) and isinstance(key.value, str) and key.value.isidentifier():
        return f"{sign or '.'}{key.value}"
    return f"{sign}[{written(key)}]"


# ---------------------------------------------------------------------------- nil at run time


def advice(tree: Node, variables: Mapping[str, Any], why: str) -> str:
    """Return what was nil where an error says that something was, and what to write; or nothing."""
    inside = sorted(nodes.walk(tree), key=lambda one: one.at)
    if not why.startswith("cannot fetch "):
        found = (_operand(node, variables, why) for node in inside)
        return next((text for text in found if text), "")
    key = why.removeprefix("cannot fetch ").partition(" from <nil>")[0]
    doubtful: nodes.Member | None = None
    for node in inside:
        if not isinstance(node, nodes.Member) or node.optional:
            continue
        if not isinstance(node.key, nodes.Const) or str(node.key.value) != key:
            continue
        value = _plain(node.base, variables)
        if value is None:
            return _advised(tree, node)
        if value is _UNKNOWN:
            doubtful = doubtful or node
    return _advised(tree, doubtful) if doubtful is not None else ""


def _operand(node: Node, variables: Mapping[str, Any], why: str) -> str:
    """Return the advice for an operand that is nil, where an error may be about it."""
    operands, instead = _operands(node, why)
    for operand in operands:
        if isinstance(operand, nodes.Member | nodes.Chain) and _plain(operand, variables) is None:
            text = written(operand)
            return f"{text} is nil" + (f": write {text} ?? {instead}" if instead else "")
    return ""


def _operands(node: Node, why: str) -> tuple[list[Node], str]:
    """Return the operands of which none may be nil, and what is written instead of nil."""
    match node:
        case nodes.Predicate() | nodes.Builtin() if why.startswith(f"{node.name} "):
            return ([node.items], "[]") if isinstance(node, nodes.Predicate) else (node.args, "")
        case nodes.Unary(operator="not") if why.startswith("not "):
            return [node.operand], "false"
        case nodes.Conditional() if why.startswith("a condition "):
            return [node.test], "false"
        case nodes.Binary(operator="and" | "or") if f"of {node.operator} " in why:
            return [node.left, node.right], "false"
        case nodes.Binary() if f" {node.operator} " in why:
            return [node.left, node.right], ""
    return [], ""


def _advised(tree: Node, node: nodes.Member) -> str:
    """Return the advice for a member whose base was nil."""
    whole: Node = node
    above = {id(part.base): part for part in nodes.walk(tree) if isinstance(part, nodes.Member)}
    while id(whole) in above:
        whole = above[id(whole)]
    chain = written(whole, guarded_below=_inner(node.base))
    return f"{written(node.base)} is nil: write {chain}"


def _inner(node: Node) -> Node:
    return node.inner if isinstance(node, nodes.Chain) else node


def _plain(node: Node, variables: Mapping[str, Any]) -> Any:
    """Return a member of plain data, _UNKNOWN for all that has to be computed."""
    if isinstance(node, nodes.Name):
        return variables.get(node.name) if node.name in variables else _UNKNOWN
    if isinstance(node, nodes.Chain):
        value = _plain(node.inner, variables)
        return None if value is _SKIPPED else value
    if not isinstance(node, nodes.Member) or not isinstance(node.key, nodes.Const):
        return _UNKNOWN
    base = _plain(node.base, variables)
    if isinstance(base, dict):
        return base.get(node.key.value)
    return _SKIPPED if base is _SKIPPED or (base is None and node.optional) else _UNKNOWN
