"""`filter.expression` of an event: which payloads are sent on.

    check = compile_filter('body.action == "opened" and len(body.labels) > 0')
    check(payload)  # None: send it; a Refusal: do not

The language is expr-lang as Argo Events has it (1.15), over the payload before it becomes the data
of a CloudEvent. All numbers are floats; at the top level a `-` in a name is read as `_`, and a
name with dots is a path. Beside the payload there are `asInt`, `asFloat`, `toJson`, `jsonpath` and
`sprig.<function>`; they win over members of the same name.

There, an event on which the expression fails is dropped without a trace. Here an expression that
needs a value which this payload does not have, as `body.pull_request.number > 3` of a push, does
not pass, and its reason is told; payloads of several shapes at one endpoint are an everyday matter.
Any other failure, such as a result that is no bool, says that expression and payload do not belong
together: it raises FilterError, and the event is set aside instead of lost.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from eventsource import jsonpath
from spine.errors import FilterError
from spine.lang import EvaluationError, exprlang, gojson
from spine.lang.exprlang.builtins import SIGNATURES
from spine.lang.exprlang.json import compact, measure, read_json
from spine.lang.exprlang.values import Budget
from spine.lang.govalue import Int


class Refusal(NamedTuple):
    """Why an event is not sent on."""

    reason: str
    """Empty where the expression is false; else what its payload does not have."""


Check = Callable[[bytes], Refusal | None]
"""Returns why a payload is not sent on, None if it is. Raises FilterError."""


@lru_cache(maxsize=256)
def compile_filter(expression: str, members: frozenset[str] = frozenset()) -> Check:
    """Compile the expression of a filter. Raises ConfigError for what can never work.

    `members` of payloads are meant even where the language has a function of that name.
    """
    program = exprlang.compile(expression, "1.15", _functions(expression), members=members)

    def check(payload: bytes) -> Refusal | None:
        try:
            passes = program.run(environment(payload))
        except exprlang.MissingValue as exc:
            return Refusal(str(exc))
        except EvaluationError as exc:
            raise _fault(expression, str(exc)) from exc
        if passes is True:
            return None
        if passes is False:
            return Refusal("")
        if passes is None:
            return Refusal("it gives nil")
        raise _fault(expression, "it does not give true or false")

    return check


def _fault(expression: str, why: str) -> FilterError:
    return FilterError(
        f"filtering with {expression!r:.200}: {why}", hint="try it with: tocsin eval expr-1.15"
    )


# ---------------------------------------------------------------------------- environment


def environment(payload: bytes) -> dict[str, Any]:
    """Return the variables that a payload gives. Raises EvaluationError."""
    decoded = read_json(gojson.without_lone_surrogates(payload) or payload)
    if decoded is None:
        return {}
    if not isinstance(decoded, dict):
        raise EvaluationError("the payload is no object")
    if not any("-" in name or "." in name for name in decoded):
        return decoded
    return _expanded({name.replace("-", "_"): value for name, value in decoded.items()})


def _expanded(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return members with dots in their names as members of members; the longer path wins."""
    made: dict[str, Any] = {}
    names = sorted(members)
    for name, following in zip(names, [*names[1:], ""], strict=True):
        if following.startswith(f"{name}."):
            continue
        *path, last = name.split(".")
        inner = made
        for step in path:
            inner = _inner(inner, step)
        inner[last] = members[name]
    return made


def _inner(members: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that is an object, made where there is none."""
    found = members.get(name)
    members[name] = dict(found) if isinstance(found, dict) else {}
    inner: dict[str, Any] = members[name]
    return inner


# ---------------------------------------------------------------------------- functions


def _functions(expression: str) -> dict[str, Any]:
    """Return what an expression can call beside the functions of the language."""
    own: dict[str, Any] = {
        "asInt": lambda value: SIGNATURES["1.15"]["int"].run(Budget(), value),
        "asFloat": lambda value: SIGNATURES["1.15"]["float"].run(Budget(), value),
        "toJson": _to_json,
        "jsonpath": jsonpath.query,
    }
    if "sprig" in expression:
        own["sprig"] = _sprig()
    return own


def _to_json(value: Any) -> str:
    """Return JSON, empty for what JSON cannot say."""
    measure(value, Budget())
    try:
        return compact(value)
    except EvaluationError:
        return ""


_HOST = frozenset(["env", "expandenv", "getHostByName"])
"""Functions that would tell of the host; Argo Events leaves the first two out."""


def _sprig() -> exprlang.Namespace:
    from spine.lang.gotemplate.sprig import FUNCTIONS

    return exprlang.Namespace(
        "sprig",
        {name: _typed(function) for name, function in FUNCTIONS.items() if name not in _HOST},
    )


def _typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Tell a function that whole numbers of a program are Go's `int`."""
    return lambda *args: function(*map(_go, args))


def _go(value: Any) -> Any:
    if value.__class__ is int:
        return Int(value)
    if value.__class__ is list:
        return [_go(item) for item in value]
    if value.__class__ is dict:
        return {key: _go(item) for key, item in value.items()}
    return value
