"""Go templates, compiled once to closures, with the functions of sprig.

A template was written for Go's text/template, so its letters are Go's: `<no value>`, `1e+06`,
`map[a:1]`. It reaches nothing but what it is given and the clock: no environment, no network,
no keys. Its work, its output and its nesting are bounded, so it ends whatever it says.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.gotemplate.actions import Actions, Compiled, walk
from spine.lang.gotemplate.builtins import BUILTINS
from spine.lang.gotemplate.expressions import Expressions
from spine.lang.gotemplate.functions import Function
from spine.lang.gotemplate.parser import parse as _parse
from spine.lang.gotemplate.runtime import LONGEST, MISSING, Frame, Run
from spine.lang.gotemplate.sprig import FUNCTIONS, REFUSED
from spine.lang.gotemplate.tree import Tree
from spine.lang.govalue import clean

__all__ = ["Template", "compile", "parse"]


class Template:
    """A compiled template."""

    __slots__ = ("_main", "_mutates", "text")

    def __init__(self, text: str, main: Compiled, *, mutates: bool) -> None:
        self.text = text
        self._main = main
        self._mutates = mutates

    @override
    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def render(self, root: Any) -> str:
        """Return the text for a value, which is `.` and `$`. The value stays as it is.

        Raises EvaluationError for what Go's template would not take, and where a limit is met.
        """
        if root is None:
            root = MISSING
        elif self._mutates:
            root = _copied(root)
        run = Run()
        main = self._main
        try:
            walk(main.steps, Frame(run, root, main.slots), root)
        except RecursionError:
            raise EvaluationError("running a template: it is nested too deeply") from None
        out = run.out
        if len(out) == 1:
            text = out[0]
        elif sum(map(len, out)) > LONGEST:
            raise EvaluationError(f"running a template: its text has more than {LONGEST} letters")
        else:
            text = "".join(out)
        return text if text.isascii() else clean(text)


def compile(  # noqa: A001 -- as re.compile
    text: str, functions: Mapping[str, Callable[..., Any]] | None = None
) -> Template:
    """Compile a template, with functions of one's own beside those of sprig.

    Raises ConfigError with line and column for what can never work.
    """
    if not functions:
        return _compiled(text)
    own = {
        name: call if isinstance(call, Function) else Function(name, "...any", call)
        for name, call in functions.items()
    }
    return _compile(text, {**_ALL, **own})


def parse(text: str) -> Tree:
    """Return the parts of a template, for those who ask what it mentions. Raises ConfigError."""
    try:
        return _parse(text, _ALL, _refused)
    except RecursionError:
        raise ConfigError("compiling a template: it is nested too deeply") from None


_ALL: Mapping[str, Function] = {**BUILTINS, **FUNCTIONS}


def _refused(name: str) -> str:
    return REFUSED.get(name, "")


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Template:
    return _compile(text, _ALL)


def _compile(text: str, functions: Mapping[str, Function]) -> Template:
    expressions = Expressions(text, functions)
    try:
        tree = _parse(text, functions, _refused)
        main = Actions(text, tree, expressions).main(tree.main)
    except RecursionError:
        raise ConfigError("compiling a template: it is nested too deeply") from None
    return Template(text, main, mutates=expressions.mutates)


def _copied(value: Any) -> Any:
    """Return a value whose maps can be changed without a trace in the original."""
    if isinstance(value, dict):
        return type(value)((key, _copied(item)) for key, item in value.items())
    if isinstance(value, list):
        return type(value)(map(_copied, value))
    return value
