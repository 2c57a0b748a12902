"""Query strings and forms, as Go's url.Values reads them."""

from dataclasses import dataclass

import pytest

from eventsource import forms


@dataclass(frozen=True)
class Case:
    name: str
    text: bytes
    values: dict[str, list[str]]

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("nothing", b"", {}),
    Case("several values keep their order", b"a=2&b=3&a=1", {"a": ["2", "1"], "b": ["3"]}),
    Case("a name alone", b"a", {"a": [""]}),
    Case("a value alone", b"=x", {"": ["x"]}),
    Case("a value may have an equals sign", b"a=b=c", {"a": ["b=c"]}),
    Case("plus and percent", b"a+b=c%26d%C3%A9", {"a b": ["c&dé"]}),
    Case("empty pairs", b"&&a=1&", {"a": ["1"]}),
    Case("bytes that are no UTF-8", b"a=%FF", {"a": ["\ufffd"]}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case: Case):
    assert forms.query(case.text) == case.values
    assert forms.form(case.text) == case.values


@pytest.mark.parametrize("text", [b"a=%zz&b=1", b"a=1;c=2&b=1", b"b=1&a=%"])
def test_wrong_pair_is_left_out_of_a_query_and_spoils_a_form(text):
    assert forms.query(text) == {"b": ["1"]}
    with pytest.raises(ValueError, match="cannot read 'a="):
        forms.form(text)
