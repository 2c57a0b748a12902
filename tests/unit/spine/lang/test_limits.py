"""Limits of programs, as the environment of the process says them."""

import pytest

from spine.errors import ConfigError
from spine.lang.limits import Limits


def of(**variables: str) -> Limits:
    return Limits.of_environment({f"TOCSIN_PROGRAM_{k}": v for k, v in variables.items()})


def test_defaults() -> None:
    assert of() == Limits(seconds=5, memory_bytes=512 * 2**20, output_bytes=16 * 2**20, workers=2)
    assert of(SECONDS="", MEMORY="  ") == of()


def test_what_is_given_counts() -> None:
    given = of(SECONDS="2.5", MEMORY="1Gi", OUTPUT="64k", WORKERS="8")
    assert given == Limits(2.5, 2**30, 64_000, 8)
    assert of(MEMORY="1.5Gi").memory_bytes == 1.5 * 2**30
    assert of(MEMORY="100000000").memory_bytes == 10**8


def test_workers_are_told_the_same() -> None:
    given = of(SECONDS="0.1", MEMORY="300M", OUTPUT="1Mi", WORKERS="3")
    assert Limits.of_environment(given.environment()) == given


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("SECONDS", text) for text in ("0", "-1", "nan", "inf", "5s", "4000")),
        *(("MEMORY", text) for text in ("0", "1Mi", "-1Gi", "512 Mi", "512mi", "lots", "1e9")),
        *(("OUTPUT", text) for text in ("0", "1000", "1Ti")),
        *(("WORKERS", text) for text in ("0", "-1", "1.5", "1000", "²")),
    ],
)
def test_what_means_nothing_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of(**{name: text})
    assert f"TOCSIN_PROGRAM_{name}" in str(caught.value)
    assert repr(text) in str(caught.value)
    assert caught.value.hint
