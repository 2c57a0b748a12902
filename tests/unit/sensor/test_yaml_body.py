"""Bodies in YAML: read as Argo Events' library does."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.yaml_body import to_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes\nb: off\nc: y\nd: 'yes'", {"a": True, "b": False, "c": True, "d": "yes"}),
        ("a: 2024-03-15\nb: 09:00:00", {"a": "2024-03-15", "b": "09:00:00"}),
        (
            "a: 0x1F\nb: 017\nc: 0o17\nd: 1_000\ne: -5",
            {"a": 31, "b": 15, "c": 15, "d": 1000, "e": -5},
        ),
        ("a: 1.0\nb: 1e3\nc: .5\nd: '1.0'", {"a": 1, "b": 1000, "c": 0.5, "d": "1.0"}),
        ("a: ~\nb:\nc: null\nd: Null", {"a": None, "b": None, "c": None, "d": None}),
        ("5: five\ntrue: t\n1.5: f", {"5": "five", "true": "t", "1.5": "f"}),
        ("a: 1\na: 2", {"a": 2}),
        ("x: &x {k: 1}\nw:\n  <<: *x\n  z: 2", {"x": {"k": 1}, "w": {"k": 1, "z": 2}}),
        ("a: |\n  l1\n  l2\n", {"a": "l1\nl2\n"}),
        ("a: !!binary aGk=", {"a": "hi"}),
        ("- x\n- [1, {b: c}]", ["x", [1, {"b": "c"}]]),
        ('{"a": 1}', {"a": 1}),
        ("plain", "plain"),
        ("", None),
    ],
)
def test_values(text: str, value: object) -> None:
    assert json.loads(to_json(text.encode())) == value


@pytest.mark.parametrize(
    "text", ["\ta: 1", "a: [", "? [1, 2]\n: x", "a: !!python/name:os.system x"]
)
def test_what_is_no_yaml_or_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_json(text.encode())


@pytest.mark.parametrize(
    "body",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join([f'*{o}'] * 9)}]\n" for o, n in pairwise("abcdefghi")),
        "&a [*a]",
        "[" * 5000,
    ],
    ids=["aliases of aliases", "an alias of itself", "nested without end"],
)
def test_what_would_swell_the_process_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r"values|alias|nest|recurs|depth"):
        to_json(body.encode())


def test_the_first_document_counts() -> None:
    assert to_json(b"a: 1\n---\nb: 2\n") == b'{"a":1}'


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        json.loads(to_json(body))
    except ValueError:
        pass
