"""Decides which programs are safe to run without a guard.

Safe is a program whose time and memory grow with the size of its input only, by a factor that
the program's text shows. Each part gets a bound on the size of all its outputs together, as a
multiple of its input, and on their number. What could grow faster, or is not known, is unsafe: a
product of two iterations, the whole input used once for each element, recursion.
"""

import re
from collections.abc import Callable, Mapping
from math import inf, prod
from typing import Any, NamedTuple

from spine.lang.jq import nodes as n
from spine.lang.jq.nodes import words

_MOST = 1000.0
"""Outputs may be that many times the input; `[.,.]|[.,.]|...` would double without end."""


class _Shape(NamedTuple):
    factor: float
    """Bound on the size of all outputs together, in sizes of the input."""
    outputs: float = 1
    """Bound on the number of outputs; infinite where the input decides."""
    fixed: bool = False
    """Whether the outputs do not depend on the input."""


class _Unsafe(Exception):
    pass


class _Place(NamedTuple):
    """Where a part stands: how often it may run, and which variables it sees."""

    depth: int
    variables: Mapping[str, tuple[int, float]]
    """Depth of the binding, and factor of the value."""

    def inside(self) -> "_Place":
        return _Place(self.depth + 1, self.variables)

    def with_variable(self, name: str, factor: float) -> "_Place":
        return _Place(self.depth, {**self.variables, name: (self.depth, factor)})


def is_safe(tree: n.Node) -> bool:
    """Say whether a program is known to be cheap on every input."""
    try:
        return _shape(tree, _Place(0, {})).factor <= _MOST
    except _Unsafe:
        return False


def _shape(node: n.Node, place: _Place) -> _Shape:
    rule = _RULES.get(type(node))
    if rule is None:
        raise _Unsafe(type(node).__name__)
    shape = rule(node, place)
    if shape.factor > _MOST:
        raise _Unsafe("its factor")
    return shape


def _crossed(*shapes: _Shape) -> _Shape:
    """Return the shape of something made from each combination of outputs."""
    endless = [shape for shape in shapes if shape.outputs == inf]
    if endless and not all(shape.fixed for shape in shapes if shape is not endless[0]):
        raise _Unsafe("a product of iterations")
    count = prod(shape.outputs for shape in shapes)
    others = prod(shape.outputs for shape in shapes if shape.outputs != inf)
    factor = sum(shape.factor for shape in shapes) * others
    return _Shape(factor, count, all(shape.fixed for shape in shapes))


def _joined(*shapes: _Shape) -> _Shape:
    """Return the shape of several filters' outputs one after the other."""
    return _Shape(
        sum(shape.factor for shape in shapes),
        sum(shape.outputs for shape in shapes),
        all(shape.fixed for shape in shapes),
    )


def _piped(left: _Shape, right: n.Node, place: _Place) -> _Shape:
    after = _shape(right, place.inside() if left.outputs == inf else place)
    fixed = left.fixed or (after.fixed and left.outputs != inf)
    return _Shape(max(left.factor, 1) * max(after.factor, 1), left.outputs * after.outputs, fixed)


def _literal(node: n.Literal, _place: _Place) -> _Shape:
    return _Shape(1 + len(str(node.value)) / 64, fixed=True)


def _variable(node: n.Variable, place: _Place) -> _Shape:
    if node.name == "ENV":
        return _Shape(1, fixed=True)
    depth, factor = place.variables.get(node.name, (-1, 0.0))
    if depth != place.depth:
        raise _Unsafe("a variable used for each element")
    return _Shape(factor)


def _index(node: n.Index, place: _Place) -> _Shape:
    target = _shape(node.target, place)
    if isinstance(node.key, n.Literal):
        return target
    return _crossed(target, _shape(node.key, place))


def _slice(node: n.Slice, place: _Place) -> _Shape:
    limits = [part for part in (node.start, node.end) if part is not None]
    return _crossed(_shape(node.target, place), *(_shape(part, place) for part in limits))


def _iterate(node: n.Iterate, place: _Place) -> _Shape:
    target = _shape(node.target, place)
    return _Shape(target.factor, inf, target.fixed)


def _array(node: n.Array, place: _Place) -> _Shape:
    if node.body is None:
        return _Shape(1, fixed=True)
    body = _shape(node.body, place)
    return _Shape(body.factor + 1, 1, body.fixed)


def _object(node: n.Object, place: _Place) -> _Shape:
    parts = [_shape(part, place) for entry in node.entries for part in entry]
    made = _crossed(*parts)
    return _Shape(made.factor + 1, made.outputs, made.fixed)


def _text(node: n.Text, place: _Place) -> _Shape:
    parts = [_shape(part, place) for part in node.parts if isinstance(part, n.Node)]
    made = _crossed(*parts)
    length = sum(len(part) for part in node.parts if isinstance(part, str))
    growth = 6 if node.format else 2
    return _Shape(growth * made.factor + length / 64, made.outputs, made.fixed)


def _pipe(node: n.Pipe, place: _Place) -> _Shape:
    return _piped(_shape(node.left, place), node.right, place)


def _binary(node: n.Binary, place: _Place) -> _Shape:
    left, right = _shape(node.left, place), _shape(node.right, place)
    if node.operator == "//":
        return _joined(left, right)
    made = _crossed(left, right)
    if node.operator == "*" and (place.depth or made.outputs == inf):
        times = max(_number(node.left), _number(node.right))
        return _Shape(made.factor * max(times, 1), made.outputs, made.fixed)
    return made


def _number(node: n.Node) -> float:
    """Return how often a literal factor repeats a string; endless if it is not a literal."""
    value = node.value if isinstance(node, n.Literal) else inf
    return float(value) if isinstance(value, int | float) and value != inf else 0.0


def _if(node: n.If, place: _Place) -> _Shape:
    test = _shape(node.test, place)
    branches = _joined(_shape(node.body, place), _shape(node.other, place))
    if test.outputs == inf and not branches.fixed:
        raise _Unsafe("a branch for each element")
    return _Shape(
        test.factor + branches.factor * min(test.outputs, _MOST),
        test.outputs * branches.outputs,
        test.fixed and branches.fixed,
    )


def _try(node: n.Try, place: _Place) -> _Shape:
    body = _shape(node.body, place)
    if node.handler is None:
        return body
    return _joined(body, _piped(body, node.handler, place))


def _bind(node: n.Bind, place: _Place) -> _Shape:
    source = _shape(node.source, place)
    if source.outputs == inf or node.name is None:
        raise _Unsafe("a body for each element")
    body = _shape(node.body, place.with_variable(node.name, source.factor))
    return _Shape(source.factor + body.factor * source.outputs, body.outputs * source.outputs)


def _update(node: n.Update, place: _Place) -> _Shape:
    paths = _shape(node.left, place)
    if node.operator == "|=":
        return _Shape(1 + _piped(paths, node.right, place).factor)
    right = _shape(node.right, place)
    if right.outputs == inf or (paths.outputs == inf and not right.fixed):
        raise _Unsafe("a product of iterations")
    if node.operator == "*=" and (place.depth or paths.outputs == inf):
        raise _Unsafe("strings repeated")
    each = 1 + paths.factor + right.factor * min(paths.outputs, _MOST)
    return _Shape(each * right.outputs, right.outputs)


# ---------------------------------------------------------------------------- functions

_PLAIN = words(
    "length utf8bytelength not type tonumber fromjson add any all first last reverse "
    "sort unique min max flatten from_entries ascii_downcase ascii_upcase trim ltrim "
    "rtrim floor ceil round abs env nan infinite error values nulls booleans numbers "
    "strings arrays objects iterables scalars empty finites normals implode toboolean gmtime "
    "mktime todate todateiso8601 fromdate fromdateiso8601 now isnan isinfinite isfinite isnormal "
    "trunc sqrt rint nearbyint fabs log log2 log10 exp"
)
_GROWING = {"tostring": 2.0, "tojson": 6.0, "keys": 4.0, "to_entries": 4.0, "explode": 8.0}
_WITH_ARGUMENT = words("has in startswith endswith ltrimstr rtrimstr trimstr split nth error")
_WITH_LITERAL = words("contains inside join flatten strftime strptime index rindex")
_SEARCHES = words("test/1 test/2 sub/2 sub/3 gsub/2 gsub/3")
_ONE_ATOM = re.compile(r"(?:\[\^?[^\[\]\\]+\]|[^\\.+*?()|\[\]{}^$]+|\\[sSdDwW])\+?")
"""Patterns of which all matches are found in one pass through a text."""
_FOR_EACH = {
    "map": 1.0,
    "with_entries": 4.0,
    "any": 1.0,
    "all": 1.0,
    "sort_by": 1.0,
    "group_by": 2.0,
    "unique_by": 2.0,
    "min_by": 1.0,
    "max_by": 1.0,
}


def _call(node: n.Call, place: _Place) -> _Shape:
    name, arguments = node.name, node.arguments
    if not arguments and (name in _PLAIN or name in _GROWING):
        return _Shape(_GROWING.get(name, 1.0))
    if len(arguments) == 1:
        return _call_with(name, arguments[0], place)
    if f"{name}/{len(arguments)}" in _SEARCHES:
        return _replacing(node)
    if name in {"any", "all"} and len(arguments) == 2:  # noqa: PLR2004 -- generator and test
        return _Shape(_piped(_shape(arguments[0], place), arguments[1], place).factor)
    raise _Unsafe(name)


def _replacing(node: n.Call) -> _Shape:
    """Return the shape of a search for what is written out, and of what is put in its place."""
    texts = [one.value for one in node.arguments if isinstance(one, n.Literal)]
    if len(texts) != len(node.arguments) or not all(isinstance(text, str) for text in texts):
        raise _Unsafe(f"{node.name} of what is not written out")
    if "{" in texts[0]:
        raise _Unsafe("a pattern that may be larger than it looks")
    if node.name != "test" and not _ONE_ATOM.fullmatch(texts[0]):
        raise _Unsafe("a pattern that may look at a text over and over")
    return _Shape(1 if node.name == "test" else 1.0 + len(texts[1]))


def _call_with(name: str, argument: n.Node, place: _Place) -> _Shape:
    if name in _FOR_EACH:
        each = _piped(_Shape(1, inf), argument, place)
        return _Shape(1 + each.factor * _FOR_EACH[name])
    shape = _shape(argument, place)
    if name in {"first", "last", "add"}:
        return _Shape(shape.factor, 1, shape.fixed)
    if name == "del":
        return _Shape(1 + shape.factor)
    if shape.outputs == inf:
        raise _Unsafe(f"{name} for each element")
    if name == "select" or name in _WITH_ARGUMENT:
        return _Shape((1 + shape.factor) * shape.outputs, shape.outputs)
    if name in _WITH_LITERAL and isinstance(argument, n.Literal):
        return _Shape(1 + 64 * shape.factor)
    raise _Unsafe(name)


_RULES: dict[type[n.Node], Callable[[Any, _Place], _Shape]] = {
    n.Identity: lambda _node, _place: _Shape(1),
    n.Literal: _literal,
    n.Variable: _variable,
    n.Index: _index,
    n.Slice: _slice,
    n.Iterate: _iterate,
    n.Group: lambda node, place: _shape(node.body, place),
    n.Array: _array,
    n.Object: _object,
    n.Text: _text,
    n.Format: lambda _node, _place: _Shape(6),
    n.Negate: lambda node, place: _shape(node.body, place),
    n.Pipe: _pipe,
    n.Comma: lambda node, place: _joined(_shape(node.left, place), _shape(node.right, place)),
    n.Binary: _binary,
    n.If: _if,
    n.Try: _try,
    n.Bind: _bind,
    n.Call: _call,
    n.Update: _update,
}
