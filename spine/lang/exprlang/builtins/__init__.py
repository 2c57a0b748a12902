"""Functions of the language: what they take, what they give, what they do.

Those that take a piece of program for each element are in `predicates`. A function gets the
budget of the run first; it raises EvaluationError, and what does not fit is refused before a
program runs where it can be seen there.
"""

from collections.abc import Mapping

from spine.lang.exprlang.builtins import collections, numbers, others, texts
from spine.lang.exprlang.builtins.signature import Signature
from spine.lang.exprlang.nodes import Dialect

__all__ = ["SIGNATURES", "Signature"]

_BOTH = texts.BOTH | numbers.BOTH | collections.BOTH | others.BOTH

SIGNATURES: Mapping[Dialect, Mapping[str, Signature]] = {
    "1.15": _BOTH | texts.OLD | numbers.OLD | collections.OLD | others.OLD,
    "1.17": _BOTH | texts.NEW | numbers.NEW | collections.NEW | others.NEW,
}
"""Dialect -> name -> function."""
