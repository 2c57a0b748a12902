"""Built-in functions of jq that take filters and run them any number of times."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from spine.lang import EvaluationError
from spine.lang.jq import arithmetic, control
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import BUDGET, Code, Variables, several, single
from spine.lang.jq.scope import Scope

Arguments = tuple[n.Node, ...]


def _codes(arguments: Arguments, scope: Scope) -> list[Code]:
    return [scope.code(argument) for argument in arguments]


# ---------------------------------------------------------------------------- counting


def count(value: Any, name: str) -> float:
    """Return how many outputs are wanted. Raises JqError."""
    if v.compare(value, 0) < 0:
        what = "index" if name == "nth" else "count"
        raise v.JqError(f"{name} doesn't support negative {what}")
    arithmetic.subtract(value, 1)  # raises for what is no number
    return float(value)


def taken(outputs: Iterator[Any], most: float) -> Iterator[Any]:
    """Yield the first outputs; no more are made."""
    if most <= 0:
        return
    for item in outputs:
        yield item
        most -= 1
        if most <= 0:
            return


def skipped(outputs: Iterator[Any], some: float) -> Iterator[Any]:
    """Yield all outputs but the first."""
    for item in outputs:
        if some <= 0:
            yield item
        else:
            some -= 1


def nth(outputs: Iterator[Any], at: float) -> Iterator[Any]:
    """Yield the output at an index, if there is one."""
    return taken(skipped(outputs, math.floor(at)), 1)


_COUNTED = {"limit": taken, "skip": skipped, "nth": nth}


def _counted(name: str) -> Callable[[Arguments, Scope], Code]:
    use = _COUNTED[name]

    def compile_call(arguments: Arguments, scope: Scope) -> Code:
        number, body = _codes(arguments, scope)

        def many(value: Any, variables: Variables) -> Iterator[Any]:
            for wanted in number.many(value, variables):
                most = count(wanted, name)
                yield from use(body.many(value, variables), most)

        return several(many)

    return compile_call


def _is_empty(arguments: Arguments, scope: Scope) -> Code:
    (body,) = _codes(arguments, scope)

    def one(value: Any, variables: Variables) -> bool:
        for _ in body.many(value, variables):
            return False
        return True

    return single(one)


# ---------------------------------------------------------------------------- ranges


def _range(arguments: Arguments, scope: Scope) -> Code:
    codes = _codes(arguments, scope)
    while len(codes) < 3:  # noqa: PLR2004 -- start, end and step
        codes = [single(lambda _v, _e: 0), *codes] if len(codes) == 1 else [*codes, _ONE]
    start, end, step = codes

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for first in start.many(value, variables):
            for last in end.many(value, variables):
                for by in step.many(value, variables):
                    yield from _numbers(first, last, by, variables)

    return several(many)


_ONE = single(lambda _value, _variables: 1)


def _numbers(first: Any, last: Any, by: Any, variables: Variables) -> Iterator[Any]:
    for one in (first, last, by):
        if v.kind(one) != "number":
            raise v.inapplicable("range", one)
    count_step = variables[BUDGET].step
    at = first
    while by and (at < last if by > 0 else at > last):
        count_step()
        yield at
        at = v.narrowed(at + by)


# ---------------------------------------------------------------------------- until something


class _Done:
    """An output that is final."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _decided(item: Any, test: Code, body: Code, variables: Variables) -> Iterator[Any]:
    for verdict in test.many(item, variables):
        if v.truthy(verdict):
            yield _Done(item)
        else:
            yield from body.many(item, variables)


def _while(arguments: Arguments, scope: Scope) -> Code:
    test, body = _codes(arguments, scope)

    def step(item: Any, variables: Variables) -> Iterator[Any]:
        for verdict in test.many(item, variables):
            if v.truthy(verdict):
                yield _Done(item)
                yield from body.many(item, variables)

    return _walked(step)


def _recurse(arguments: Arguments, scope: Scope) -> Code:
    codes = _codes(arguments, scope)
    if not codes:
        return several(control.everything)
    body = codes[0]
    test = codes[1] if len(codes) > 1 else None

    def step(item: Any, variables: Variables) -> Iterator[Any]:
        yield _Done(item)
        for made in body.many(item, variables):
            if test is None:
                yield made
            else:
                yield from (made for verdict in test.many(made, variables) if v.truthy(verdict))

    return _walked(step)


def _walked(step: Callable[[Any, Variables], Iterator[Any]]) -> Code:
    """Return what yields the final outputs of a step, and does the step on the others at once."""

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        turn, number = variables[BUDGET].turn, 0
        waiting = [step(value, variables)]
        while waiting:
            for item in waiting[-1]:
                if isinstance(item, _Done):
                    yield item.value
                    continue
                number += 1
                turn(number, item)
                waiting.append(step(item, variables))
                break
            else:
                waiting.pop()

    return several(many)


def _until(arguments: Arguments, scope: Scope) -> Code:
    test, body = _codes(arguments, scope)
    return _walked(lambda item, variables: _decided(item, test, body, variables))


def _repeat(arguments: Arguments, scope: Scope) -> Code:
    (body,) = _codes(arguments, scope)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        step = variables[BUDGET].step
        while True:  # the budget ends it
            step()
            yield from body.many(value, variables)

    return several(many)


# ---------------------------------------------------------------------------- all the way down


def _walk(arguments: Arguments, scope: Scope) -> Code:
    (body,) = _codes(arguments, scope)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        variables[BUDGET].step()
        made = value
        if isinstance(value, list):
            made = [out for item in value for out in many(item, variables)]
        elif isinstance(value, dict):
            made = {}
            for key in sorted(value):
                for out in many(value[key], variables):
                    made[key] = out
                    break
        yield from body.many(made, variables)

    return several(many)


def _combinations(arguments: Arguments, scope: Scope) -> Code:
    codes = _codes(arguments, scope)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        if not codes:
            if isinstance(value, list):
                yield from _chosen(value, 0, variables)
            elif value:
                raise v.JqError(f"expected an array but got: {v.shown(value)}")
            else:
                yield []
            return
        for times in codes[0].many(value, variables):
            if v.kind(times) != "number":
                raise v.inapplicable("range", times)
            if times > _MOST_TIMES:
                raise EvaluationError(f"combinations({times}) are too many")
            yield from _chosen([value] * max(math.ceil(times), 0), 0, variables)

    return several(many)


_MOST_TIMES = 100


def _chosen(lists: list[Any], at: int, variables: Variables) -> Iterator[list[Any]]:
    """Yield lists with one element of each list."""
    if at == len(lists):
        yield []
        return
    for item in v.items(lists[at]):
        for rest in _chosen(lists, at + 1, variables):
            variables[BUDGET].step()
            yield [item, *rest]


CALLS: dict[str, Callable[[Arguments, Scope], Code]] = {
    "limit/2": _counted("limit"),
    "skip/2": _counted("skip"),
    "nth/2": _counted("nth"),
    "isempty/1": _is_empty,
    "range/1": _range,
    "range/2": _range,
    "range/3": _range,
    "until/2": _until,
    "while/2": _while,
    "recurse/0": _recurse,
    "recurse/1": _recurse,
    "recurse/2": _recurse,
    "repeat/1": _repeat,
    "walk/1": _walk,
    "combinations/0": _combinations,
    "combinations/1": _combinations,
}
