"""The fuzzing itself notices what it is for."""

from typing import Any

import fuzz_kit
import pytest
from fuzz_kit import fuzz, measure
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError

numbers = st.integers(0, 9)


def failing(make: Any) -> str:
    with pytest.raises((AssertionError, ValueError)) as caught:
        make()
    return str(caught.value)


def test_another_exception_is_found() -> None:
    @fuzz(numbers)
    def broken(number: int) -> None:
        if number > 3:
            raise ValueError(number)

    assert failing(broken) == "4"


def test_a_hang_is_found() -> None:
    @fuzz(numbers, cpu=0.05)
    def hangs(number: int) -> None:
        while number == 7:
            try:
                number += 0
            except Exception:
                break

    assert "took over 0.05 s" in failing(hangs)


def test_a_large_result_is_found() -> None:
    @fuzz(numbers, size=1000)
    def swells(number: int) -> str:
        return "x" * 10**number

    assert "size of the result" in failing(swells)


def test_hunger_is_found() -> None:
    """What the process had at most until now counts: tests before this one may have had more."""
    more = (fuzz_kit.most_resident() + 100) * 2**20

    @fuzz(st.just(1), memory=50)
    def hungry(number: int) -> None:
        b"x" * (more * number)

    assert "MiB for (1,)" in failing(hungry)


def test_inputs_that_are_all_refused_test_nothing() -> None:
    @fuzz(numbers)
    def strict(number: int) -> None:
        raise (ConfigError if number % 2 else EvaluationError)("no")

    assert "got through" in failing(strict)


def test_endless_recursion_is_found() -> None:
    @fuzz(numbers)
    def deep(number: int) -> None:
        fall(number)

    def fall(number: int) -> None:
        fall(number + 1)

    assert "RecursionError" in failing(deep)


def test_size_counts_at_all_depths() -> None:
    assert measure({"ab": ["c", None]}) == 1 + 2 + 1 + 2 + 1
