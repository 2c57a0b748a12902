"""What is known where a filter stands, and how the filters in it are compiled."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from spine.lang.jq import nodes as n
from spine.lang.jq.code import Code, Paths
from spine.lang.jq.strays import astray

T = TypeVar("T")
Compilers = Mapping[type[n.Node], Callable[[Any, "Scope"], T]]
"""What compiles each kind of filter."""
Later = Callable[[], Paths]
"""Compiles when it is needed: most filters are never asked for their paths."""


class NotCovered(Exception):
    """A part of the language that is left to libjq."""


class NotDefined(Exception):
    """A name that stands for nothing."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class Callee(NamedTuple):
    """What a name with a number of arguments calls."""

    call: Callable[[tuple[Any, ...], "Scope"], Code]
    """Takes the arguments as nodes, and the scope of the call."""
    paths: Callable[[tuple[Any, ...], "Scope"], Paths]
    """The same for the paths of what it gives."""


@dataclass(frozen=True)
class Scope:
    """What is known where a filter stands."""

    code_of: Compilers[Code]
    paths_of: Callable[[], Compilers[Paths]]
    counted: bool = False
    """Whether there is a budget: the program is not known to end."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Name -> key at run time."""
    functions: Mapping[str, Callee] = field(default_factory=dict)
    """Name/number of arguments -> what is called."""
    labels: Mapping[str, str] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def code(self, node: n.Node) -> Code:
        """Return the code of a filter. Raises NotCovered or NotDefined."""
        compiler = self.code_of.get(type(node))
        if compiler is None:
            raise NotCovered(type(node).__name__)
        return compiler(node, self)

    def paths(self, node: n.Node) -> Paths:
        """Return what yields the paths of what a filter gives. Raises NotCovered or NotDefined."""
        compiler = self.paths_of().get(type(node))
        return self.untracked(node) if compiler is None else compiler(node, self)

    def untracked(self, node: n.Node) -> Paths:
        """Return the paths of a filter that makes its values: of what stands there anyway."""
        code = self.code(node)
        return lambda path, value, variables: astray(code, path, value, variables)

    def later(self, node: n.Node) -> Later:
        """Return what compiles the paths of a filter once they are needed."""
        made: list[Paths] = []

        def compiled() -> Paths:
            if not made:
                made.append(self.paths(node))
            return made[0]

        return compiled

    def fresh(self, name: str) -> str:
        """Return a key that no other place has."""
        return f"{name}#{next(self.numbers)}"

    def bound(self, *names: str) -> "tuple[Scope, tuple[str, ...]]":
        """Return the scope in which variables are bound, with their keys."""
        keys = tuple(self.fresh(name) for name in names)
        variables = {**self.variables, **dict(zip(names, keys, strict=True))}
        return replace(self, variables=variables), keys

    def with_function(self, name: str, callee: Callee) -> "Scope":
        """Return the scope in which a function is defined."""
        return replace(self, functions={**self.functions, name: callee})

    def with_label(self, name: str) -> "tuple[Scope, str]":
        """Return the scope in which a label is set, with its key."""
        key = self.fresh(name)
        return replace(self, labels={**self.labels, name: key}), key
