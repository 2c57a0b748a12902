"""Libraries that a library imports and hardly ever uses: loaded at their first use.

The client of the bus imports an HTTP client, for buses that are reached by WebSocket. A webhook
needs neither, and would pay for it with 9 MiB and a good part of its start.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class Later:
    """Stands for a module until something of it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        known: Any = sys.modules.get(self._name)
        if name.startswith("__") or known is self:
            raise AttributeError(name)  # the import system asks for its own names
        return getattr(importlib.import_module(self._name), name)


@contextmanager
def later(*names: str) -> Iterator[None]:
    """Give whoever imports these modules meanwhile something that loads them when it is used.

    Modules that are loaded already are given as they are. `from module import name` fails
    meanwhile as if it were not installed.
    """
    new = [name for name in names if name not in sys.modules]
    for name in new:
        sys.modules[name] = Later(name)  # type: ignore[assignment]  # any object will do
    try:
        yield
    finally:
        for name in new:
            del sys.modules[name]


@contextmanager
def hollow(module: str, *names: str) -> Iterator[None]:
    """Give whoever imports names of a module meanwhile None for each of them.

    For what is imported and, as we use the importer, never called. Nothing changes where the
    module is loaded already.
    """
    if module in sys.modules:
        yield
        return
    stand_in = ModuleType(module)
    vars(stand_in).update(dict.fromkeys(names))
    sys.modules[module] = stand_in
    try:
        yield
    finally:
        del sys.modules[module]


@contextmanager
def bare(package: str) -> Iterator[None]:
    """Let modules of a package be imported meanwhile without what its own `__init__` imports.

    For a package whose parts are wanted one by one, and that imports all of them. Nothing changes
    where it is loaded already. Raises ModuleNotFoundError where it is not installed.
    """
    if package in sys.modules:
        yield
        return
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    sys.modules[package] = module_from_spec(spec)  # has a path, and runs nothing
    try:
        yield
    finally:
        del sys.modules[package]
