"""Go templates of parameters and filters: texts made of a value that stands at `.Input`.

A template that gives nothing, or nothing but `<no value>`, counts as one that failed: what it asked
for is not there.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator

from spine.errors import ConfigError
from spine.lang import EvaluationError

Rendering = Callable[[Any], str]
"""Gives the text for a value. Raises EvaluationError."""


def compile_rendering(text: str) -> Rendering:
    """Compile a template. Raises ConfigError with line and column."""
    from spine.lang import gotemplate

    render = gotemplate.compile(text).render

    def rendered(value: Any) -> str:
        made = render({"Input": value})
        if made in {"", "<no value>"}:
            raise EvaluationError("it gives nothing" if not made else "it gives <no value>")
        return made

    return rendered


def _checked(text: str) -> str:
    if not text:
        return text
    from spine.lang import gotemplate

    try:
        gotemplate.compile(text)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return text


GoTemplate = Annotated[str, AfterValidator(_checked)]
"""A template that can be compiled, or an empty text."""
