"""Built-in functions of jq that give what stands in their input: their paths are known."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import places
from spine.lang.jq import values as v
from spine.lang.jq.code import BUDGET, Paths, Variables
from spine.lang.jq.loops import count, nth, skipped, taken
from spine.lang.jq.scope import Scope
from spine.lang.jq.strays import onward, recursed

Arguments = tuple[n.Node, ...]
Pairs = Iterator[tuple[Any, Any]]


def _empty(_arguments: Arguments, _scope: Scope) -> Paths:
    return lambda _path, _value, _variables: iter(())


def _select(arguments: Arguments, scope: Scope) -> Paths:
    test = scope.code(arguments[0])

    def paths(path: Any, value: Any, variables: Variables) -> Pairs:
        for item in test.many(value, variables):
            if v.truthy(item):
                yield path, value

    return paths


def _of_kind(name: str) -> Callable[[Arguments, Scope], Paths]:
    def compile_call(_arguments: Arguments, scope: Scope) -> Paths:
        code = scope.code(n.Call(name, ()))
        return lambda path, value, variables: ((path, value) for _ in code.many(value, variables))

    return compile_call


def _element(at: int) -> Callable[[Arguments, Scope], Paths]:
    def compile_call(_arguments: Arguments, scope: Scope) -> Paths:
        return scope.paths(n.Index(n.Identity(), n.Literal(at)))

    return compile_call


def _nth(arguments: Arguments, scope: Scope) -> Paths:
    return scope.paths(n.Index(n.Identity(), arguments[0]))


def _first(arguments: Arguments, scope: Scope) -> Paths:
    body = scope.paths(arguments[0])
    return lambda path, value, variables: taken(body(path, value, variables), 1)


def _counted(name: str) -> Callable[[Arguments, Scope], Paths]:
    use = {"limit": taken, "skip": skipped, "nth": nth}[name]

    def compile_call(arguments: Arguments, scope: Scope) -> Paths:
        number, body = scope.code(arguments[0]), scope.paths(arguments[1])

        def paths(path: Any, value: Any, variables: Variables) -> Pairs:
            for wanted in number.many(value, variables):
                most = count(wanted, name)
                yield from use(body(path, value, variables), most)

        return paths

    return compile_call


def _recurse(arguments: Arguments, scope: Scope) -> Paths:
    if not arguments:
        return scope.paths(n.Recurse())
    step = arguments[0]
    if len(arguments) > 1:
        step = n.Pipe(step, n.Call("select", (arguments[1],)))
    return recursed(scope.paths(step))


def _until(arguments: Arguments, scope: Scope) -> Paths:
    test, body = scope.code(arguments[0]), scope.paths(arguments[1])

    def paths(path: Any, value: Any, variables: Variables) -> Pairs:
        variables[BUDGET].step()
        for verdict in test.many(value, variables):
            if v.truthy(verdict):
                yield path, value
            else:
                for place, found in body(path, value, variables):
                    yield from paths(place, found, variables)

    return paths


def _while(arguments: Arguments, scope: Scope) -> Paths:
    test, body = scope.code(arguments[0]), scope.paths(arguments[1])

    def paths(path: Any, value: Any, variables: Variables) -> Pairs:
        variables[BUDGET].step()
        for verdict in test.many(value, variables):
            if v.truthy(verdict):
                yield path, value
                for place, found in body(path, value, variables):
                    yield from paths(place, found, variables)

    return paths


def _repeat(arguments: Arguments, scope: Scope) -> Paths:
    body = scope.paths(arguments[0])

    def paths(path: Any, value: Any, variables: Variables) -> Pairs:
        while True:  # the budget ends it
            variables[BUDGET].step()
            yield from body(path, value, variables)

    return paths


def _get_path(arguments: Arguments, scope: Scope) -> Paths:
    key = scope.code(arguments[0])

    def paths(path: Any, value: Any, variables: Variables) -> Pairs:
        for steps in key.many(value, variables):
            found = places.get_path(value, steps)
            yield (*onward(path, value), *steps), found

    return paths


COMPILERS: dict[str, Callable[[Arguments, Scope], Paths]] = {
    "empty/0": _empty,
    "select/1": _select,
    "first/0": _element(0),
    "last/0": _element(-1),
    "nth/1": _nth,
    "first/1": _first,
    "limit/2": _counted("limit"),
    "skip/2": _counted("skip"),
    "nth/2": _counted("nth"),
    "recurse/0": _recurse,
    "recurse/1": _recurse,
    "recurse/2": _recurse,
    "until/2": _until,
    "while/2": _while,
    "repeat/1": _repeat,
    "getpath/1": _get_path,
    **{
        f"{name}/0": _of_kind(name)
        for name in n.words(
            "values nulls booleans numbers strings arrays objects iterables scalars finites normals"
        )
    },
}
