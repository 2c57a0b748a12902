"""From a tree to closures: each part becomes a function of the frame of one run.

A frame is a list: the environment, the budget, then a place for each `let` and for the element,
the index and the accumulator of each closure, which are known by number when it is compiled.
"""

from collections.abc import Mapping
from typing import Any

from spine.lang import EvaluationError, regex
from spine.lang.exprlang import access, closures, comparing, nodes, operators, predicates
from spine.lang.exprlang.builtins import SIGNATURES
from spine.lang.exprlang.frame import BUDGET, ENV, FIRST, Code, Frame
from spine.lang.exprlang.nodes import Dialect, Node
from spine.lang.exprlang.values import MissingValue, shown


class Compiler:
    """Compiles one tree."""

    def __init__(self, dialect: Dialect, functions: Mapping[str, Any]) -> None:
        self._later = dialect == "1.17"
        self._functions = functions
        self._signatures = SIGNATURES[dialect]
        self._equal = comparing.equal if self._later else comparing.equal_strictly
        self._places: dict[str, int] = {}
        self._closures: list[predicates.Places] = []
        self.size = FIRST

    def compile(self, node: Node) -> Code:
        """Return the closure of a part."""
        made: Code = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return made

    def _place(self) -> int:
        self.size += 1
        return self.size - 1

    # ------------------------------------------------------------------------ leaves

    def _const(self, node: nodes.Const) -> Code:
        value = node.value
        return lambda _: value

    def _name(self, node: nodes.Name) -> Code:
        name = node.name
        if name in self._places:
            place = self._places[name]
            return lambda frame: frame[place]
        if name == "$env":
            functions = self._functions
            return lambda frame: {**frame[ENV], **functions} if functions else frame[ENV]
        if name in self._functions:
            value = self._functions[name]
            return lambda _: value
        return lambda frame: frame[ENV].get(name)

    def _free(self, name: str) -> bool:
        """Whether a name is one of the environment."""
        return name not in self._places and name not in self._functions and name != "$env"

    def _pointer(self, node: nodes.Pointer) -> Code:
        places = self._closures[-1]
        place = {"": places.item, "index": places.position, "acc": places.total}[node.name]
        return lambda frame: frame[place]

    # ------------------------------------------------------------------------ access

    def _member(self, node: nodes.Member) -> Code:
        return self._link(node, chained=False)

    def _chain(self, node: nodes.Chain) -> Code:
        run = self._link(node.inner, chained=True)

        def whole(frame: Frame) -> Any:
            value = run(frame)
            return None if value is closures.SKIP else value

        return whole

    def _link(self, node: Node, *, chained: bool) -> Code:
        """Return the closure of a part of a chain, which may be skipped where it is in one."""
        if isinstance(node, nodes.Member):
            base = self._link(node.base, chained=chained) if chained else self.compile(node.base)
            if isinstance(node.key, nodes.Const) and node.key.value.__class__ is str:
                if not chained and isinstance(node.base, nodes.Name) and self._free(node.base.name):
                    return closures.member_of(node.base.name, node.key.value)
                return closures.named(node, base, node.key.value, chained=chained)
            return closures.indexed(node, base, self.compile(node.key), chained=chained)
        if isinstance(node, nodes.Call) and isinstance(node.callee, nodes.Member) and chained:
            return self._method(node, node.callee, chained=True)
        return self.compile(node)

    def _slice(self, node: nodes.Slice) -> Code:
        base = self.compile(node.base)
        start = closures.nothing if node.start is None else self._bound(node.start)
        stop = closures.nothing if node.stop is None else self._bound(node.stop)

        def run(frame: Frame) -> Any:
            made = access.sliced(base(frame), start(frame), stop(frame))
            frame[BUDGET].read(made)
            return made

        return run

    def _bound(self, node: Node) -> Code:
        """Return an end of a slice, which is not nil."""
        code = self.compile(node)

        def run(frame: Frame) -> Any:
            value = code(frame)
            if value is None:
                raise MissingValue("cannot slice at <nil>")
            return value

        return run

    # ------------------------------------------------------------------------ calls

    def _call(self, node: nodes.Call) -> Code:
        callee = node.callee
        if isinstance(callee, nodes.Member):
            return self._method(node, callee, chained=False)
        assert isinstance(callee, nodes.Name)
        if callee.name in self._places:
            return closures.called(self.compile(callee), self._arguments(node))
        return closures.applied(callee.name, self._functions[callee.name], self._arguments(node))

    def _method(self, node: nodes.Call, callee: nodes.Member, *, chained: bool) -> Code:
        base, key, args = callee.base, callee.key, self._arguments(node)
        if isinstance(base, nodes.Name) and isinstance(key, nodes.Const):
            namespace = self._functions.get(base.name)
            if isinstance(namespace, Mapping) and base.name not in self._places:
                return closures.applied(f"{base.name}.{key.value}", namespace[key.value], args)
        return closures.called(self._link(callee, chained=chained), args)

    def _arguments(self, node: nodes.Call) -> list[Code]:
        return [self.compile(arg) for arg in node.args]

    def _builtin(self, node: nodes.Builtin) -> Code:
        compute = self._signatures[node.name].run
        args = [self.compile(arg) for arg in node.args]
        if len(args) == 1:
            only = args[0]
            return lambda frame: _weighed(compute(frame[BUDGET], only(frame)), frame)
        return lambda frame: _weighed(compute(frame[BUDGET], *[arg(frame) for arg in args]), frame)

    def _predicate(self, node: nodes.Predicate) -> Code:
        items = self.compile(node.items)
        more = None if node.more is None else self.compile(node.more)
        body = None
        places = predicates.Places(self._place(), self._place(), self._place())
        if node.body is not None:
            self._closures.append(places)
            body = self.compile(node.body)
            self._closures.pop()
        return predicates.compile_predicate(node.name, items, body, more, places)

    # ------------------------------------------------------------------------ operators

    def _unary(self, node: nodes.Unary) -> Code:
        operand = self.compile(node.operand)
        if node.operator == "not":
            return closures.negation(operand)
        if node.operator == "+":
            return operand
        return lambda frame: operators.negate(operand(frame))

    def _binary(self, node: nodes.Binary) -> Code:
        left, right = self.compile(node.left), self.compile(node.right)
        operator = node.operator
        if operator in closures.BINARY:
            return closures.BINARY[operator](left, right)
        if operator in {"==", "!="}:
            return self._equality(node, left, right)
        if operator == "in":
            return self._in(node, left, right)
        if operator == "matches":
            return self._matches(node, left, right)
        test = operators.text_operator(operator, lenient=self._later)

        def run(frame: Frame) -> bool:
            text = left(frame)
            if text.__class__ is str:
                frame[BUDGET].read(text)
            return test(text, right(frame))

        return run

    def _equality(self, node: nodes.Binary, left: Code, right: Code) -> Code:
        same = node.operator == "=="
        if isinstance(node.left, nodes.Const) and not isinstance(node.right, nodes.Const):
            left, right, constant = right, left, node.left
        elif isinstance(node.right, nodes.Const):
            constant = node.right
        else:
            return closures.compared(self._equal, left, right, same=same)
        value = constant.value
        if value is None:
            return lambda frame: (left(frame) is None) is same
        if value.__class__ in {str, bool}:
            kind = value.__class__

            def literal(frame: Frame) -> bool:
                found = left(frame)
                return (found.__class__ is kind and found == value) is same

            return literal
        return closures.compared(self._equal, left, right, same=same)

    def _in(self, node: nodes.Binary, left: Code, right: Code) -> Code:
        items = node.right
        if isinstance(items, nodes.Array) and items.items:
            values = [n.value for n in items.items if isinstance(n, nodes.Const)]
            if len(values) == len(items.items) and all(v.__class__ is str for v in values):
                return closures.in_texts(left, frozenset(values))
        equals = self._equal

        def run(frame: Frame) -> bool:
            item, found = left(frame), right(frame)
            if isinstance(found, list):
                frame[BUDGET].step(len(found))
                if isinstance(item, list | dict):
                    frame[BUDGET].weigh(found)
            return comparing.contained(item, found, equals)

        return run

    def _matches(self, node: nodes.Binary, left: Code, right: Code) -> Code:
        lenient = self._later
        if not isinstance(node.right, nodes.Const):

            def computed(frame: Frame) -> bool:
                text = left(frame)
                frame[BUDGET].read(text if text.__class__ is str else "")
                return operators.matches(text, right(frame), lenient=lenient)

            return computed
        pattern = regex.compile(node.right.value)

        def run(frame: Frame) -> bool:
            text = left(frame)
            if text.__class__ is not str:
                return operators.matches(text, pattern.text, lenient=lenient)
            frame[BUDGET].read(text)
            return pattern.search(text)

        return run

    # ------------------------------------------------------------------------ forms

    def _conditional(self, node: nodes.Conditional) -> Code:
        test, then, other = map(self.compile, (node.test, node.then, node.other))

        def run(frame: Frame) -> Any:
            value = test(frame)
            if value is True:
                return then(frame)
            if value is False:
                return other(frame)
            raise closures.no_bool(value, "a condition")

        return run

    def _let(self, node: nodes.Let) -> Code:
        value = self.compile(node.value)
        place = self._place()
        self._places[node.name] = place
        body = self.compile(node.body)
        del self._places[node.name]

        def run(frame: Frame) -> Any:
            frame[place] = value(frame)
            return body(frame)

        return run

    def _sequence(self, node: nodes.Sequence) -> Code:
        *steps, last = map(self.compile, node.steps)

        def run(frame: Frame) -> Any:
            for step in steps:
                step(frame)
            return last(frame)

        return run

    def _array(self, node: nodes.Array) -> Code:
        items = [self.compile(item) for item in node.items]
        size = len(items)

        def run(frame: Frame) -> list[Any]:
            frame[BUDGET].allocate(size)
            return [item(frame) for item in items]

        return run

    def _map(self, node: nodes.Map) -> Code:
        pairs = [(self.compile(key), self.compile(value)) for key, value in reversed(node.pairs)]
        size = len(pairs)

        def run(frame: Frame) -> dict[str, Any]:
            frame[BUDGET].allocate(size)
            made = {}
            for key, value in pairs:  # the first of equal keys counts
                name = key(frame)
                if name.__class__ is not str:
                    raise EvaluationError(f"a key of a map is a text, not {shown(name)}")
                made[name] = value(frame)
            return made

        return run


def _weighed(made: Any, frame: Frame) -> Any:
    """Use the steps of a text that was made."""
    if made.__class__ is str:
        frame[BUDGET].make(len(made))
    return made
