"""Credentials: in which forms they are found, and in which fields."""

from typing import Annotated
from urllib.parse import quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hiding import HIDDEN, SHORTEST, Hiding, Token, credentials
from spine.model import Model, load


class Inner(Model):
    """A part."""

    secret: Annotated[str, HIDDEN] = ""
    """Hidden."""
    name: str = ""
    """Shown."""


class Outer(Model):
    """All kinds of fields."""

    token: Token
    """Hidden."""
    keys: Annotated[dict[str, str], HIDDEN] = {}
    """Hidden."""
    parts: list[Inner] = []
    """Partly."""
    whole: Annotated[Inner | None, HIDDEN] = None
    """Hidden."""
    name: str = "shown"
    """Shown."""


def test_fields_that_hold_credentials() -> None:
    model = load(
        Outer,
        {
            "token": " t1\n",
            "keys": {"a": "t2"},
            "parts": [{"secret": "t3", "name": "shown"}],
            "whole": {"secret": "t4", "name": "t5"},
        },
    )
    assert sorted(credentials(model)) == ["t1", "t2", "t3", "t4", "t5"]


URL = "https://me:hush-password-1@h.example.com/hooks/T0/hush-part-of-path?sig=hush-signature-1&v=1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token hush-hush is bad", "token *** is bad"),
        (f"asked {URL}", "asked ***"),
        ("GET /hooks/T0/hush-part-of-path?sig=hush-signature-1&v=1", "GET ***"),
        ("no page hush-part-of-path", "no page ***"),
        ("bad signature hush-signature-1", "bad signature ***"),
        ("user me:hush-password-1", "user me:***"),
        ("h.example.com is down, v=1", "h.example.com is down, v=1"),
        ("ab is short", "ab is short"),
    ],
)
def test_hidden(text: str, shown: str) -> None:
    assert Hiding(["hush-hush", URL, "ab", ""])(text) == shown


@given(st.text(min_size=SHORTEST, max_size=20).filter(lambda t: len(t.strip()) >= SHORTEST))
def test_found_in_forms_urls_and_json(secret: str) -> None:
    hide = Hiding([secret])
    bare = secret.strip()
    for text in (bare, quote_plus(bare), orjson.dumps(bare).decode()[1:-1]):
        assert hide(f"<{text}>") == "<***>"


def test_longest_goes_first() -> None:
    assert Hiding(["hush", "hush-hush"])("hush-hush") == "***"
