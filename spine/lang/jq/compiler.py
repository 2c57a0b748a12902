"""Compiles the common part of jq to closures, many times faster than a call of libjq.

Results are those of gojq, which the peers run: keys in order, numbers as doubles, its messages.
What is not covered raises NotCovered and is left to libjq as a whole; a name that nobody knows
raises NotDefined.
"""

from spine.lang.jq import (
    access,
    control,
    functions,
    making,
    operators,
    patterns,
    updates,
)
from spine.lang.jq import nodes as n
from spine.lang.jq.code import Code, Paths
from spine.lang.jq.scope import Compilers, Scope


def _call(node: n.Call, scope: Scope) -> Code:
    from spine.lang.jq import calls  # and with it all functions, which many programs do without

    return calls.compile_call(node, scope)


def _paths() -> Compilers[Paths]:
    from spine.lang.jq import paths  # which fewer need

    return paths.PATHS


_CODES: Compilers[Code] = {
    **access.CODES,
    **making.CODES,
    **operators.CODES,
    **control.CODES,
    **patterns.CODES,
    **functions.CODES,
    **updates.CODES,
    n.Call: _call,
    n.Group: lambda node, scope: scope.code(node.body),
}


def compile_tree(tree: n.Node, *, counted: bool) -> Code:
    """Return the code of a program; `counted`: it has a budget. Raises NotCovered or NotDefined."""
    return Scope(_CODES, _paths, counted=counted).code(tree)
