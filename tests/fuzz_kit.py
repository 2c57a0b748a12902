"""Fuzzing: made-up programs on made-up input, for every parser and evaluator.

    @fuzz(programs, values)
    def test_jq(program: str, value: Any) -> Any:
        return jq.compile(program).run_value(value)

What the test returns, and everything on the way to it, is bounded: processor time, memory, size of
the result. It may end in one of `errors`, and in no other exception; enough inputs must get through
for the test to mean something. `make test` makes 1,000 inputs for each test, `make fuzz` 100,000
(FUZZ_EXAMPLES); a summary at the end says how many ran, were refused, and what the slowest took.
"""

import inspect
import json
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1000"))


@dataclass
class Tally:
    """What became of the inputs of one test."""

    inputs: int = 0
    refused: int = 0
    """Those that ended in an error that is allowed."""
    slowest: float = 0.0
    """Processor seconds."""
    seconds: float = 0.0
    """Of all, with making them."""
    hungry: str = ""
    """What made the process grow too much. Told at the end: a second time it would not grow."""


TALLIES: dict[str, Tally] = {}
"""Of the tests that ran, by name."""


class Hang(BaseException):
    """An input took too long: no program may catch this."""


def fuzz(
    *inputs: st.SearchStrategy[Any],
    errors: tuple[type[Exception], ...] = (ConfigError, EvaluationError),
    cpu: float = 2.0,
    memory: int = 256,
    size: int = 1_000_000,
    useful: float = 0.05,
) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Run a test on made-up inputs.

    `cpu` is in seconds and `memory` in MiB, for one input; `size` bounds the parts of what the test
    returns: characters, elements and members; `useful` is the share of inputs that must not end
    in an error.
    """

    def decorate(test: Callable[..., Any]) -> Callable[[], None]:
        name = test.__name__
        tally = Tally()

        def one(*values: Any) -> None:
            tally.inputs += 1
            before, start = most_resident(), time.process_time()
            made, fault = None, ""
            try:
                with _limited(cpu):
                    made = test(*values)
            except errors:
                tally.refused += 1
            except Hang:
                fault = f"took over {cpu} s"
            except RecursionError:  # where it was raised differs from run to run
                fault = "a RecursionError escapes"
            assert not fault, fault
            tally.slowest = max(tally.slowest, time.process_time() - start)
            if most_resident() - before > memory:
                tally.hungry = f"{most_resident() - before} MiB for {values!r:.2000}"
            assert measure(made) <= size, "size of the result"

        run = given(*inputs)(_named_as(test, one, len(inputs)))
        run = settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )(run)

        @pytest.mark.fuzz
        @wraps(test)
        def every() -> None:
            start = time.monotonic()
            try:
                run()
            finally:
                tally.seconds = time.monotonic() - start
                TALLIES[name] = tally
            assert not tally.hungry, tally.hungry
            passed = tally.inputs - tally.refused
            assert passed >= useful * tally.inputs, f"only {passed} of {tally.inputs} got through"

        del every.__wrapped__  # pytest would look for fixtures named like the inputs
        return every

    return decorate


def _named_as(
    test: Callable[..., Any], one: Callable[..., None], count: int
) -> Callable[..., None]:
    """Return a function of so many parameters, which Hypothesis can name in its report."""
    names = test.__code__.co_varnames[:count]
    assert len(names) == count, f"{test.__name__} takes {len(names)} inputs, not {count}"

    def run(*args: Any, **kwargs: Any) -> None:
        one(*args, *kwargs.values())

    run.__name__ = run.__qualname__ = test.__name__
    run.__module__ = test.__module__
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    return run


@contextmanager
def _limited(cpu: float) -> Iterator[None]:
    """Raise Hang after some processor time; pytest's own limit has the other timer."""

    def stop(*_: Any) -> None:
        raise Hang

    old = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


def most_resident() -> int:
    """Return the most memory this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(value: Any) -> int:
    """Return how large a value is: characters, elements and members, at all depths."""
    total, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        total += 1
        if isinstance(one, str | bytes):
            total += len(one)
        elif isinstance(one, dict):
            waiting += one.values()
            total += sum(len(key) if isinstance(key, str) else 1 for key in one)
        elif isinstance(one, list | tuple):
            waiting += one
    return total


# ---------------------------------------------------------------------------- what to feed in

plain = st.characters(exclude_categories=["Cs"])
"""Characters that UTF-8 has."""

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.5, -1.5, 1e21, 1e-7, -0.0, 2**53, -(2**53) - 1, 2**63, 1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "a", "b", "ab", "3", "-1.5", "2024-01-02", "2024-01-02T03:04:05Z", "é<&>"]
    ),
    st.text(plain, max_size=6),
)
"""What JSON has at its leaves, the odd ones often."""

keys = st.sampled_from(["a", "b", "c", "", "0", "a.b", "key", "value", "@x"])
"""Names of members; few, so that programs hit them."""


def json_values(leaves: int = 12) -> st.SearchStrategy[Any]:
    """Return JSON values of any shape; most from a stock, as making them takes longest."""
    made = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=leaves,
    )
    return st.one_of(*[st.sampled_from(_STOCK)] * 8, scalars, made)


def _stock(count: int) -> list[Any]:
    """Return values of any shape, always the same ones."""
    dice = random.Random(1)
    leaves = [None, True, False, 0, 1, -2, 3.5, 1e21, -0.0, 2**53 + 1, "", "a", "b", "3", "é<&>"]
    leaves += ["2024-01-02", "2024-01-02T03:04:05Z", "a,b c", "YQ==", '{"a":1}', 1700000000]
    names = ["a", "b", "c", "", "0", "a.b", "key", "value", "name"]

    def value(depth: int) -> Any:
        kind = dice.random()
        if depth == 0 or kind < 0.3:
            return dice.choice(leaves)
        if kind < 0.65:
            return [value(depth - 1) for _ in range(dice.randrange(5))]
        return {dice.choice(names): value(depth - 1) for _ in range(dice.randrange(5))}

    return [value(3) for _ in range(count)] + leaves


_STOCK = _stock(400)


def objects(leaves: int = 12) -> st.SearchStrategy[dict[str, Any]]:
    """Return JSON objects, which is what events have for data."""
    stock = [value for value in _STOCK if isinstance(value, dict)]
    made = st.dictionaries(keys, json_values(leaves), max_size=5)
    return st.one_of(*[st.sampled_from(stock)] * 4, made)


documents = st.one_of(
    json_values().map(json.dumps),
    json_values().map(lambda value: json.dumps(value, ensure_ascii=False, indent=1)),
    st.text(st.sampled_from('{}[]",:\\u0dé1-.eE+ntf \n'), max_size=30),
)
"""JSON as text, some of it broken."""


def words(*some: str, most: int = 12) -> st.SearchStrategy[str]:
    """Return texts that are made of some words."""
    return st.lists(st.sampled_from(some), max_size=most).map("".join)


def mangled(texts: st.SearchStrategy[str], letters: str) -> st.SearchStrategy[str]:
    """Return texts of which every third has a few letters too many, too few or swapped."""

    def mangle(text: str, edits: list[tuple[int, int, str]]) -> str:
        for place, kind, letter in edits:
            at = place % (len(text) + 1)
            text = (
                text[:at] + letter + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
                text[:at] + text[at : at + 3] * 3 + text[at + 3 :],
            )[kind]
        return text

    edit = st.tuples(st.integers(0, 60), st.integers(0, 3), st.sampled_from(list(letters)))
    edits = st.lists(edit, min_size=1, max_size=3)
    broken = st.builds(mangle, texts, edits)
    return st.one_of(*[texts] * 8, *[broken] * 4)  # beside these, `nested` is one in 13


def nested(depth: int, *pairs: tuple[str, str]) -> st.SearchStrategy[str]:
    """Return texts nested deeper than any parser should follow, such as a thousand brackets."""
    return st.builds(
        lambda pair, times, core, close: pair[0] * times + core + pair[1] * (times * close),
        st.sampled_from(pairs),
        st.sampled_from([depth // 20, depth // 20 + 1, depth // 6, depth]),
        st.sampled_from(["", "1", "a", ".a"]),
        st.booleans(),
    )
