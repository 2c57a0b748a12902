"""Expressions of triggers: expr-lang with `time` and `strings`, known by what they read.

    expression = compile_expression("obj.status?.phase == 'Failed'", variables={"obj", "health"})
    expression.value({"obj": pod})      # True
    expression.reads.fields             # {("status", "phase")}

What can never work is a ConfigError when it is loaded, an unknown function too. An unknown variable
is nil, as in Argo, and is warned about.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from typing_extensions import override

from notifier import lints, reads
from notifier.repo import NAMES as REPO
from spine.errors import ConfigError
from spine.lang import EvaluationError, exprlang, gotime
from spine.lang.exprlang import MissingValue, Namespace, nodes
from spine.lang.exprlang.nodes import Node

__all__ = ["FUNCTIONS", "STRINGS", "TIME", "Expression", "compile_expression"]


def _parse(text: Any) -> gotime.Time:
    if not isinstance(text, str):
        raise EvaluationError(f"time.Parse takes a text, not {'nil' if text is None else text}")
    return gotime.parse_time(gotime.RFC3339, text)


def _text(name: str, value: Any) -> str:
    """Return a text; nil is an empty one, as where a Go function takes a string."""
    if value is not None and not isinstance(value, str):
        raise EvaluationError(f"{name} takes texts, not {value}")
    return value or ""


def _replace_all(text: Any, old: Any, new: Any) -> str:
    what = "strings.ReplaceAll"
    return _text(what, text).replace(_text(what, old), _text(what, new))


_UNITS = {
    "Nanosecond": "1ns",
    "Microsecond": "1us",
    "Millisecond": "1ms",
    "Second": "1s",
    "Minute": "1m",
    "Hour": "1h",
}

TIME: Mapping[str, Any] = {
    "Now": gotime.Time.now,
    "Parse": _parse,
    **{name: gotime.parse_duration(text) for name, text in _UNITS.items()},
    **gotime.LAYOUTS,
}
"""What `time` has: functions, units, layouts."""
STRINGS: Mapping[str, Any] = {
    "ReplaceAll": _replace_all,
    "ToUpper": lambda text: _text("strings.ToUpper", text).upper(),
    "ToLower": lambda text: _text("strings.ToLower", text).lower(),
}
"""What `strings` has."""
FUNCTIONS: Mapping[str, Any] = {
    "time": Namespace("time", TIME),
    "strings": Namespace("strings", STRINGS),
}
"""What expressions call, beside the functions of the language and of `repo`, which is a variable:
it answers for one object."""


class Expression:
    """A compiled expression."""

    def __init__(
        self, program: exprlang.Program, what: reads.Reads, warnings: tuple[str, ...]
    ) -> None:
        self.text, self.tree = program.text, program.tree
        self.reads = what
        """What it reads."""
        self.warnings = warnings
        """What is likely not meant, a line each."""
        self._run = program.run

    @override
    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Return the value. Raises EvaluationError, which says what was nil and what to write."""
        try:
            return self._run(variables)
        except MissingValue as exc:
            advice = lints.advice(self.tree, variables, str(exc))
            if not advice:
                raise
            raise MissingValue(f"{exc}: {advice}") from exc


def compile_expression(text: str, *, variables: Collection[str]) -> Expression:
    """Compile an expression for an environment of these variables. Raises ConfigError."""
    program = exprlang.compile(text, "1.17", FUNCTIONS)
    for node in nodes.walk(program.tree):
        _refuse(text, node)
    found = dict.fromkeys(lints.warnings_of(program.tree, variables, FUNCTIONS))
    found |= dict.fromkeys(_unknown_members(program.tree))
    what = reads.of_expression(program.tree, variables)
    return Expression(program, what, tuple(found))


def _refuse(text: str, node: Node) -> None:
    """Raise ConfigError for what has no meaning here."""
    if isinstance(node, nodes.Name) and node.name == "secrets":
        raise ConfigError(
            f"compiling expression {text!r:.500}: secrets cannot be read here",
            hint="only templates have .secrets",
        )
    if isinstance(node, nodes.Call) and isinstance(node.callee, nodes.Member):
        base, key = node.callee.base, node.callee.key
        if not isinstance(base, nodes.Name) or not isinstance(key, nodes.Const):
            return
        if base.name == "repo" and key.value not in REPO:
            raise ConfigError(
                f"compiling expression {text!r:.500}: repo has no function {key.value}"
                + _meant(str(key.value), REPO)
            )


def _meant(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else f" (there is {', '.join(sorted(known))})"


def _unknown_members(tree: Node) -> Iterator[str]:
    """Yield constants of namespaces that do not exist, such as `time.Day`."""
    for node in nodes.walk(tree):
        if not isinstance(node, nodes.Member) or not isinstance(node.base, nodes.Name):
            continue
        members = FUNCTIONS.get(node.base.name)
        key = node.key.value if isinstance(node.key, nodes.Const) else None
        if members is not None and isinstance(key, str) and key not in members:
            yield f"{node.base.name}.{key} does not exist, so it is nil{_meant(key, members)}"
