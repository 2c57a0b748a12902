"""What the closures of a program share while it runs."""

from collections.abc import Callable
from typing import Any

Frame = list[Any]
"""Environment, budget, then the places of variables and elements."""
Code = Callable[[Frame], Any]
"""A compiled part of a program."""

ENV, BUDGET, FIRST = 0, 1, 2
"""Places in a frame."""
