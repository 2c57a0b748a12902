"""govaluate: the language of filter expressions.

    expression = govaluate.compile('status == "open" && total >= 100')
    expression.run({"status": "open", "total": 250.0})  # True

Argo Events' sensors speak it, so its oddities are part of it: adjacent operators must be apart
(`n == -5`), either quote ends a text, all operators of one level group from the left (the ternary
too), whatever follows a parenthesis without an operator is not looked at, and a quoted text that
looks like a date is a number. What surely is a slip is told by `warnings`. Values are those of
JSON, numbers as float. Nothing here can loop; depth, length and results are bounded.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.govaluate import grammar, stages
from spine.lang.govaluate.stages import shown
from spine.lang.govaluate.tokens import SyntaxFault, read

__all__ = ["Expression", "compile", "shown"]


class Expression:
    """A compiled expression."""

    names: tuple[str, ...]
    """Its variables, in order of first mention."""
    needed: frozenset[str]
    """Variables that every evaluation reads; `&&`, `||`, `?` and `??` may pass over the others."""
    warnings: tuple[str, ...]
    """What is surely not meant as it is written."""

    def __init__(self, text: str, tree: grammar.Tree) -> None:
        self.text = text
        self.names = tuple(dict.fromkeys(tree.names))
        self.needed = grammar.needed(tree.root)
        self.warnings = tuple(tree.warnings)
        self._run: Callable[[Mapping[str, Any]], Any] = stages.compile_node(tree.root)

    @override
    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def run(self, values: Mapping[str, Any]) -> Any:
        """Return the result for values of the variables. Raises EvaluationError."""
        try:
            return self._run(values)
        except RecursionError:
            raise EvaluationError("the data is nested too deeply") from None


@lru_cache(maxsize=256)
def compile(text: str) -> Expression:  # noqa: A001 -- as re.compile
    """Compile an expression. Raises ConfigError."""
    try:
        return Expression(text, grammar.parse(read(text)))
    except SyntaxFault as exc:
        raise ConfigError(
            f"compiling expression {text!r}: column {exc.at + 1}: {exc}", hint=exc.hint
        ) from exc
