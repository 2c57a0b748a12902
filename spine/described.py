"""What the fields of a model mean: the docstrings below them, read from the source.

Only who writes a schema or a page asks, so no process that runs pays for reading its own source:
that was half of the time in which it took in its models.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the fields of a model that have a docstring, its own or inherited, with it."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            found |= dict(_own(cls))
    return {name: found[name] for name in model.model_fields if found.get(name)}


def _own(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the fields that a class declares itself; "" for one that says nothing."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    for statement, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, _text(after)


def _text(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        return inspect.cleandoc(value) if isinstance(value, str) else ""
    return ""
