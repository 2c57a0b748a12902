"""expr-lang: the expressions of `filter.expression`, of a trigger's `if`, of notifications.

    program = exprlang.compile('body.action == "opened" and len(body.labels) > 2', "1.15")
    program.run({"body": {"action": "opened", "labels": ["a"]}})  # False

Two dialects: 1.15 is what event sources of Argo Events evaluate, 1.17 what its notifications do.
A name that the environment lacks is nil, a member of nil is an error: `a?.b`. An expression is
compiled once to closures; what the peer's own compiler refuses is a ConfigError then, and so is
an unknown function. A run is bounded in steps, in elements that are made, and in text.

`functions` are put in front of the environment and known when a program is compiled: constants,
Python callables that take and give such values and raise EvaluationError, and `Namespace`s of
both, as in `time.Now()` or `sprig.upper(x)`.
"""

from collections.abc import Collection, Mapping
from typing import Any

from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.exprlang.builtins import SIGNATURES
from spine.lang.exprlang.checker import Checker
from spine.lang.exprlang.compiler import Compiler
from spine.lang.exprlang.folding import fold
from spine.lang.exprlang.frame import FIRST, Code
from spine.lang.exprlang.nodes import Dialect, Node, SyntaxFault
from spine.lang.exprlang.parser import parse
from spine.lang.exprlang.values import Budget, MissingValue, Namespace
from spine.lang.exprlang.writing import written

__all__ = ["Dialect", "MissingValue", "Namespace", "Program", "compile", "part"]


class Program:
    """A compiled expression."""

    def __init__(self, text: str, tree: Node, code: Code, size: int) -> None:
        self.text = text
        self.tree = tree
        """What was parsed, for those who ask which names it mentions."""
        self._code = code
        self._rest = [None] * (size - FIRST)

    @override
    def __repr__(self) -> str:
        return f"Program({self.text!r})"

    def run(self, env: Mapping[str, Any]) -> Any:
        """Return the value in an environment.

        Raises EvaluationError; MissingValue, one of them, where the environment lacks something
        that the expression needs.
        """
        try:
            return self._code([env, Budget(), *self._rest])
        except RecursionError:
            raise EvaluationError("a value is nested too deeply") from None


def compile(  # noqa: A001 -- as re.compile
    text: str,
    dialect: Dialect = "1.17",
    functions: Mapping[str, Any] | None = None,
    *,
    names: Collection[str] | None = None,
    members: Collection[str] = (),
) -> Program:
    """Compile an expression. Raises ConfigError, which says where the fault is.

    `names` are the variables of the environment where they are known: others are refused.
    `members` are variables even where a function, which can still be called, has the name.
    """
    known = functions or {}
    try:
        tree = parse(text, dialect, SIGNATURES[dialect])
        known_names = None if names is None else frozenset(names)
        Checker(dialect, known, names=known_names, members=frozenset(members)).check(tree)
        tree = fold(tree)
        compiler = Compiler(dialect, known)
        code = compiler.compile(tree)
    except SyntaxFault as exc:
        where = _where(text, exc.at)
        raise ConfigError(f"compiling expression {text!r:.500}: {where}: {exc}") from exc
    except RecursionError as exc:
        raise ConfigError(f"compiling expression {text!r:.500}: it is nested too deeply") from exc
    return Program(text, tree, code, compiler.size)


def part(tree: Node, dialect: Dialect, functions: Mapping[str, Any]) -> Program:
    """Compile a part of a program's tree, for those who ask what it gives by itself.

    It names no variable of a `let` and no element of a closure that it stands in.
    """
    compiler = Compiler(dialect, functions)
    code = compiler.compile(tree)
    return Program(written(tree), tree, code, compiler.size)


def _where(text: str, at: int) -> str:
    """Return a place as people count it."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"column {column}" if "\n" not in text else f"line {line}, column {column}"
