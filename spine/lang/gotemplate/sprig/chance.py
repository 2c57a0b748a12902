"""Chance: identifiers and random texts, of a length that is bounded. Not for secrets."""

import base64
import random
import string
import uuid
from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.govalue import Int

_LONGEST = 10_000
_ASCII = "".join(map(chr, range(32, 127)))


def _letters(alphabet: str) -> Callable[[int], str]:
    def letters(count: int) -> str:
        _check(count)
        return "".join(random.choices(alphabet, k=max(count, 0)))  # noqa: S311 -- no secret

    return letters


def _check(count: int) -> None:
    if count > _LONGEST:
        raise EvaluationError(f"{int(count)} random letters are more than {_LONGEST}")


def _bytes(count: int) -> str:
    _check(count)
    if count < 0:
        raise EvaluationError("fewer than no random bytes")
    return base64.b64encode(random.randbytes(count)).decode()  # noqa: S311 -- no secret


def _int(low: int, high: int) -> Int:
    if high <= low:
        raise EvaluationError(f"no number from {int(low)} lies below {int(high)}")
    return Int(random.randrange(low, high))  # noqa: S311 -- no secret


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("uuidv4", "", lambda: str(uuid.uuid4())),
    ("randAlphaNum", "int", _letters(string.ascii_letters + string.digits)),
    ("randAlpha", "int", _letters(string.ascii_letters)),
    ("randAscii", "int", _letters(_ASCII)),
    ("randNumeric", "int", _letters(string.digits)),
    ("randBytes", "int", _bytes),
    ("randInt", "int int", _int),
]
