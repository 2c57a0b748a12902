"""Pipelines compiled to closures: operands, calls, members.

Every closure takes the frame and the cursor. What it gives may be MISSING (nothing there) or
None (a null in the data); after a pipeline both are MISSING, as in Go.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from spine.lang import EvaluationError
from spine.lang.gotemplate.functions import Accept, Function, acceptor, mismatch
from spine.lang.gotemplate.lexer import fail, place
from spine.lang.gotemplate.members import member, member_with
from spine.lang.gotemplate.runtime import MISSING, Frame, bounded, effort
from spine.lang.gotemplate.tree import (
    Chain,
    Dot,
    Field,
    Literal,
    Name,
    Nil,
    Number,
    Operand,
    Pipe,
    Variable,
)
from spine.lang.govalue import Int

Get: TypeAlias = Callable[[Frame, Any], Any]
"""Gives a value."""
Next: TypeAlias = Callable[[Frame, Any, Any], Any]
"""Gives a value, from the one before in the pipeline too."""


class Expressions:
    """Compiles the pipelines of one template text."""

    def __init__(self, source: str, functions: Mapping[str, Function]) -> None:
        self.source = source
        self.functions = functions
        self.mutates = False
        """Whether a function is called that changes what it is given."""

    # ------------------------------------------------------------------ pipelines

    def pipe(self, pipe: Pipe) -> Get:
        """Compile a pipeline without regard to its variables."""
        first, *rest = pipe.commands
        get = self._first(first)
        if not rest:
            return get
        steps = [self._then(command) for command in rest]

        def run(frame: Frame, dot: Any) -> Any:
            value = get(frame, dot)
            for step in steps:
                value = step(frame, dot, MISSING if value is None else value)
            return value

        return run

    def settled(self, pipe: Pipe) -> Get:
        """Compile a pipeline whose value is never None."""
        get = self.pipe(pipe)

        def run(frame: Frame, dot: Any) -> Any:
            value = get(frame, dot)
            return MISSING if value is None else value

        return run

    def _first(self, command: Sequence[Operand]) -> Get:
        head, *args = command
        if isinstance(head, Name):
            return self._call(head, args)
        if isinstance(head, Field | Variable | Chain) and args:
            return self._method(head, args)
        if args:
            return _failing("can't give argument to non-function")
        if isinstance(head, Nil):
            return _failing("nil is not a command")
        return self._value(head)

    def _then(self, command: Sequence[Operand]) -> Next:
        head, *args = command
        if isinstance(head, Name):
            return self._call_with(head, args)
        if isinstance(head, Field | Variable | Chain):
            return self._method_with(head, args)
        raise_it = _failing("can't give argument to non-function")
        return lambda frame, dot, _value: raise_it(frame, dot)

    # ------------------------------------------------------------------ operands

    def _value(self, node: Operand) -> Get:
        """Compile an operand that no type is asked of."""
        match node:
            case Field(names):
                return _members(_dot, names)
            case Variable(slot, names):
                return _members(_variable(slot), names)
            case Chain(inner, names):
                return _members(self._value(inner), names)
            case Pipe():
                return self.settled(node)
            case Name():
                return self._call(node, [])
        return _dot if isinstance(node, Dot) else self._constant(node, "any")

    def operand(self, node: Operand, kind: str) -> Get:
        """Compile an argument for a parameter of a type."""
        if isinstance(node, Literal | Number | Nil):
            return self._constant(node, kind)
        return _accepted(self._value(node), acceptor(kind))

    def _constant(self, node: Operand, kind: str) -> Get:
        value = _constant(node, kind)
        if isinstance(value, EvaluationError):
            return _failing(str(value))
        return lambda _frame, _dot: value

    # ------------------------------------------------------------------ members

    def _owner(self, head: Field | Variable | Chain) -> tuple[Get, str]:
        """Return what the last member of a chain belongs to, and its name."""
        names = head.names
        match head:
            case Field():
                return _members(_dot, names[:-1]), names[-1]
            case Variable(slot):
                if not names:
                    return _failing("can't give argument to non-function"), ""
                return _members(_variable(slot), names[:-1]), names[-1]
        return _members(self._value(head.node), names[:-1]), names[-1]

    def _method(self, head: Field | Variable | Chain, args: Sequence[Operand]) -> Get:
        owner, name = self._owner(head)
        values = [self._value(arg) for arg in args]

        def run(frame: Frame, dot: Any) -> Any:
            return member_with(owner(frame, dot), name, [get(frame, dot) for get in values])

        return run

    def _method_with(self, head: Field | Variable | Chain, args: Sequence[Operand]) -> Next:
        owner, name = self._owner(head)
        values = [self._value(arg) for arg in args]

        def run(frame: Frame, dot: Any, last: Any) -> Any:
            given = [*(get(frame, dot) for get in values), last]
            return member_with(owner(frame, dot), name, given)

        return run

    # ------------------------------------------------------------------ calls

    def _function(self, head: Name, count: int) -> Function:
        function = self.functions[head.name]
        why = function.takes(count)
        if why:
            fail(self.source, head.at, why)
        self.mutates = self.mutates or function.mutates
        return function

    def _place(self, head: Name) -> str:
        return f"{place(self.source, head.at)}: calling {head.name}"

    def _call(self, head: Name, args: Sequence[Operand]) -> Get:
        function = self._function(head, len(args))
        getters = [self.operand(arg, function.kind(i)) for i, arg in enumerate(args)]
        if head.name in {"and", "or"}:
            return _lazy(getters, stops=head.name == "or")
        call, deep, place = function.call, function.deep, self._place(head)

        def run(frame: Frame, dot: Any) -> Any:
            try:
                values = [get(frame, dot) for get in getters]
                frame.run.charge(1 + effort(values, deep=deep))
                result = call(*values)
                if isinstance(result, str):
                    bounded(len(result))
            except EvaluationError as exc:
                raise placed(place, exc) from exc
            return MISSING if result is None else result

        return run

    def _call_with(self, head: Name, args: Sequence[Operand]) -> Next:
        function = self._function(head, len(args) + 1)
        getters = [self.operand(arg, function.kind(i)) for i, arg in enumerate(args)]
        accept = acceptor(function.kind(len(args)))
        if head.name in {"and", "or"}:
            return _lazy_with(getters, stops=head.name == "or")
        call, deep, place = function.call, function.deep, self._place(head)

        def run(frame: Frame, dot: Any, last: Any) -> Any:
            try:
                values = [get(frame, dot) for get in getters]
                values.append(accept(last))
                frame.run.charge(1 + effort(values, deep=deep))
                result = call(*values)
                if isinstance(result, str):
                    bounded(len(result))
            except EvaluationError as exc:
                raise placed(place, exc) from exc
            return MISSING if result is None else result

        return run


def placed(place: str, exc: EvaluationError) -> EvaluationError:
    """Return an error with its place in the text, unless it has one already."""
    text = str(exc)
    return exc if text.startswith("line ") else EvaluationError(f"{place}: {text}")


def _failing(why: str) -> Get:
    def run(_frame: Frame, _dot: Any) -> Any:
        raise EvaluationError(why)

    return run


def _dot(_frame: Frame, dot: Any) -> Any:
    return dot


def _variable(slot: int) -> Get:
    return lambda frame, _dot: frame.slots[slot]


def _members(owner: Get, names: Sequence[str]) -> Get:
    if not names:
        return owner
    if owner is _dot:

        def of_dot(_frame: Frame, value: Any) -> Any:
            for name in names:
                value = value.get(name, MISSING) if type(value) is dict else member(value, name)
            return value

        return of_dot

    def run(frame: Frame, dot: Any) -> Any:
        value = owner(frame, dot)
        for name in names:
            value = value.get(name, MISSING) if type(value) is dict else member(value, name)
        return value

    return run


def _accepted(get: Get, accept: Accept) -> Get:
    return lambda frame, dot: accept(get(frame, dot))


def _constant(node: Operand, kind: str) -> Any:
    """Return the value of a literal for a type, or the error of one that does not fit."""
    match node:
        case Nil():
            fits = kind in {"any", "map", "list"}
            return None if fits else EvaluationError(f"cannot assign nil to {kind}")
        case Number():
            return _number(node, kind)
        case Literal(value):
            wanted = {"string": str, "bool": bool}.get(kind, object)
            if kind == "any" or (isinstance(value, wanted) and wanted is not object):
                return value
    return mismatch(kind, getattr(node, "value", None))


def _number(node: Number, kind: str) -> Any:
    if kind == "int" and node.whole is not None:
        return Int(node.whole)
    if kind == "float64" and node.real is not None:
        return node.real
    if kind == "any" and node.ideal is not None:
        return node.ideal
    if kind == "any":
        return EvaluationError(f"integer overflow: {node.text}")
    return EvaluationError(f"expected {kind}; found {node.text}")


def _lazy(getters: Sequence[Get], *, stops: bool) -> Get:
    """Compile `and` and `or`: the first value that decides, or the last."""

    def run(frame: Frame, dot: Any) -> Any:
        value: Any = MISSING
        for get in getters:
            value = get(frame, dot)
            if bool(value) is stops:
                break
        return MISSING if value is None else value

    return run


def _lazy_with(getters: Sequence[Get], *, stops: bool) -> Next:
    def run(frame: Frame, dot: Any, last: Any) -> Any:
        for get in getters:
            value = get(frame, dot)
            if bool(value) is stops:
                return MISSING if value is None else value
        return last

    return run
