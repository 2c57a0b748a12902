"""Programs beyond the covered part of jq, run by libjq and bent towards gojq.

libjq holds the interpreter's lock, cannot be interrupted and ends the process when memory runs
out, so whoever runs such a program keeps it in a guarded process.
"""

from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError, gojson
from spine.lang.jq.nodes import words
from spine.lang.jq.syntax import Program
from spine.lang.jq.values import doubles

_MISSING = words(
    "ascii/0 debug/0 debug/1 get_search_list/0 getpath/0 have_decnum/0 "
    "have_literal_numbers/0 input/0 input_filename/0 input_line_number/0 inputs/0 "
    "keys_unsorted/0 leaf_paths/0 stderr/0 toarray/0 _nwise/1"
)
"""Functions of libjq that the peers do not have, or that would reach outside of the program."""

_MISSING_VARIABLES = frozenset(["__loc__", "__prog_args"])

_OVERRIDES = {
    "halt/0": 'def halt: error("halt error");',
    "halt_error/0": 'def halt_error: error("halt error: \\(tojson)");',
    "halt_error/1": 'def halt_error($code): error("halt error: \\(tojson)");',
    "reverse/0": (
        'def reverse: if type == "array" then [.[length - 1 - range(0; length)]] '
        'else error("reverse cannot be applied to: \\(type)") end;'
    ),
    "strftime/1": (
        "def _strftime($format): strftime($format); "
        'def strftime($format): _strftime($format | split("%Z") | join("UTC"));'
    ),
}
"""Functions that differ, as the peers have them; put before a program that uses them."""


class CompileFault(Exception):
    """A program that libjq does not take."""


def compile_program(text: str, parsed: Program) -> Callable[[Any], Any]:
    """Return a function from a value to the program's first output. Raises CompileFault.

    The function raises EvaluationError, also for no output.
    """
    import jq

    _refuse_missing(parsed)
    prelude = "{} as $ENV | def env: $ENV; "
    prelude += " ".join(_OVERRIDES[name] for name in sorted(parsed.calls & set(_OVERRIDES)))
    try:
        program = jq.compile(f"{prelude} ({text}\n)")
    except ValueError as exc:
        raise CompileFault(_reason(exc)) from exc

    def run(value: Any) -> Any:
        try:
            return doubles(program.input_text(gojson.plain(value).decode()).first())
        except StopIteration:
            raise EvaluationError("gave no output") from None
        except ValueError as exc:
            raise EvaluationError(str(exc)) from exc

    return run


def _refuse_missing(parsed: Program) -> None:
    if missing := sorted(parsed.calls & _MISSING):
        raise CompileFault(f"function not defined: {missing[0]}")
    if unknown := sorted(parsed.variables & _MISSING_VARIABLES):
        raise CompileFault(f"variable not defined: ${unknown[0]}")


def _reason(error: ValueError) -> str:
    """Return libjq's message without the place, which counts our prelude."""
    first = str(error).partition("\n")[0]
    return first.removeprefix("jq: error: ").partition(" at <top-level>")[0]
