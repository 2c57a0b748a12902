"""Actions compiled to closures: printing, branches, loops, templates within templates."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from spine.lang import EvaluationError
from spine.lang.gofmt import verb_v
from spine.lang.gotemplate.expressions import Expressions, Get, placed
from spine.lang.gotemplate.lexer import fail, place
from spine.lang.gotemplate.runtime import CONTAINERS, DEEPEST, MISSING, Frame, measured
from spine.lang.gotemplate.tree import Action, Body, Branch, Call, Leave, Node, Range, Text, Tree
from spine.lang.govalue import Byte, Int, type_name

Step: TypeAlias = Callable[[Frame, Any], object]
"""Adds to the text of a frame; gives _BREAK or _CONTINUE where the loop around it is left."""

_BREAK, _CONTINUE = "break", "continue"


class Compiled:
    """A body that is ready: its steps and the number of its variables."""

    __slots__ = ("slots", "steps", "weight")

    def __init__(self, body: Body) -> None:
        self.slots = body.slots
        self.weight = _weight(body.nodes) >> 1
        self.steps: Sequence[Step] = ()


class Actions:
    """Compiles the bodies of one template text. Raises ConfigError."""

    def __init__(self, source: str, tree: Tree, expressions: Expressions) -> None:
        self.source = source
        self.expressions = expressions
        self.bodies = {name: Compiled(body) for name, body in tree.defined.items()}
        for name, body in tree.defined.items():
            self.bodies[name].steps = self._steps(body.nodes)

    def main(self, body: Body) -> Compiled:
        """Compile the text itself."""
        compiled = Compiled(body)
        compiled.steps = self._steps(body.nodes)
        return compiled

    def _steps(self, nodes: Iterable[Node]) -> list[Step]:
        return [self._step(node) for node in nodes]

    def _step(self, node: Node) -> Step:
        match node:
            case Text(text):
                return _text(text)
            case Action():
                return self._action(node)
            case Branch():
                return self._branch(node)
            case Range():
                return self._range(node)
            case Call():
                return self._call(node)
            case Leave(stops):
                sign = _BREAK if stops else _CONTINUE
                return lambda _frame, _dot: sign

    def _action(self, node: Action) -> Step:
        pipe = node.pipe
        if pipe.slots:
            return _assign(self._placed(node, self.expressions.settled(pipe)), pipe.slots[0])
        get, place = self.expressions.pipe(pipe), self._place(node.at)

        def step(frame: Frame, dot: Any) -> None:
            try:
                value = get(frame, dot)
                if type(value) is not str:
                    if isinstance(value, CONTAINERS):
                        frame.run.charge(measured(value) >> 3)
                    value = show(value)
            except EvaluationError as exc:
                raise placed(place, exc) from exc
            frame.out.append(value)

        return step

    def _place(self, at: int) -> str:
        return place(self.source, at)

    def _placed(self, node: Action | Branch | Range | Call, get: Get) -> Get:
        """Return a getter whose errors say where it stands."""
        place = self._place(node.at)

        def run(frame: Frame, dot: Any) -> Any:
            try:
                return get(frame, dot)
            except EvaluationError as exc:
                raise placed(place, exc) from exc

        return run

    def _branch(self, node: Branch) -> Step:
        get = self._stored(node)
        body, other, moves = self._steps(node.body), self._steps(node.other), node.moves

        def step(frame: Frame, dot: Any) -> object:
            value = get(frame, dot)
            if value:
                return walk(body, frame, value if moves else dot)
            return walk(other, frame, dot)

        return step

    def _stored(self, node: Branch | Range) -> Get:
        """Compile a pipeline that leaves its value in its variables too."""
        get, slots = self._placed(node, self.expressions.settled(node.pipe)), node.pipe.slots
        if not slots:
            return get

        def stored(frame: Frame, dot: Any) -> Any:
            value = get(frame, dot)
            for slot in slots:
                frame.slots[slot] = value
            return value

        return stored

    def _range(self, node: Range) -> Step:
        stored, slots = self._stored(node), node.pipe.slots
        body, other = self._steps(node.body), self._steps(node.other)
        work = 1 + (_weight(node.body) >> 1)
        element_slot = slots[-1] if slots else -1
        index_slot = slots[0] if len(slots) > 1 else -1
        get = self._placed(
            node, lambda frame, dot: _elements(stored(frame, dot), pair=index_slot >= 0)
        )

        def step(frame: Frame, dot: Any) -> object:
            run, turned = frame.run, False
            for index, element in get(frame, dot):
                turned = True
                run.charge(work)
                if index_slot >= 0:
                    frame.slots[index_slot] = index
                if element_slot >= 0:
                    frame.slots[element_slot] = element
                if walk(body, frame, element) is _BREAK:
                    break
            return None if turned else walk(other, frame, dot)

        return step

    def _call(self, node: Call) -> Step:
        body = self.bodies.get(node.name)
        if body is None:
            near = difflib.get_close_matches(node.name, self.bodies, 1)
            hint = f"did you mean {near[0]!r}?" if near else "define it in the same text"
            fail(self.source, node.at, f"template {node.name!r} not defined", hint)
        get: Get = _nothing
        if node.pipe is not None:
            get = self._placed(node, self.expressions.settled(node.pipe))

        def step(frame: Frame, dot: Any) -> None:
            run, value = frame.run, get(frame, dot)
            run.charge(1 + body.weight)
            if run.depth >= DEEPEST:
                raise EvaluationError(f"templates nested deeper than {DEEPEST}")
            run.depth += 1
            walk(body.steps, Frame(run, value, body.slots), value)
            run.depth -= 1

        return step


def _weight(nodes: Iterable[Node]) -> int:
    """Return the number of nodes that one walk may pass; loops in them count for themselves."""
    return sum(
        1 + (max(_weight(n.body), _weight(n.other)) if isinstance(n, Branch) else 0) for n in nodes
    )


def _nothing(_frame: Frame, _dot: Any) -> Any:
    return MISSING


def walk(steps: Sequence[Step], frame: Frame, dot: Any) -> object:
    """Run steps; a break or a continue ends them and is given to the loop around."""
    for step in steps:
        sign = step(frame, dot)
        if sign is not None:
            return sign
    return None


def _text(text: str) -> Step:
    return lambda frame, _dot: frame.out.append(text)


def _assign(get: Get, slot: int) -> Step:
    def step(frame: Frame, dot: Any) -> None:
        frame.slots[slot] = get(frame, dot)

    return step


def show(value: Any) -> str:
    """Return the text of a value that is printed. Raises EvaluationError for a function."""
    if value is None or value is MISSING:
        return "<no value>"
    if callable(value):
        raise EvaluationError("can't print a function: call it with call")
    return verb_v(value)


def _elements(value: Any, *, pair: bool) -> Iterable[tuple[Any, Any]]:
    """Return index and element of all that is in a value."""
    match value:
        case list() | bytes():
            items = [Byte(item) for item in value] if isinstance(value, bytes) else value
            return ((Int(index), item) for index, item in enumerate(items))
        case dict():
            return [(key, value[key]) for key in sorted(value)]  # what a loop changes is not met
        case bool():
            pass
        case Int() | int():
            if pair:
                raise EvaluationError(f"can't use {value} to iterate over more than one variable")
            kind = type(value)
            return ((MISSING, kind(number)) for number in range(value))
        case _ if value is MISSING:
            return ()
    raise EvaluationError(f"range can't iterate over a value of type {type_name(value)}")
