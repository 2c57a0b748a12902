"""Caches of what was compiled or read: full, they forget, and stay as large as they are."""

import importlib
from collections.abc import Callable
from typing import Any
from zoneinfo import available_timezones

import pytest

from spine.lang.gjson import grammar

ZONES = sorted(available_timezones())

CACHES: dict[str, Callable[[int], tuple[Any, ...]]] = {
    "eventbus.subjects:event_subject": lambda n: ("s", f"e{n}"),
    "eventsource.expression:compile_filter": lambda n: (f"body.a == {n}",),
    "notifier.plan:_items": lambda n: (f'{{"a{n}": 1}}',),
    "notifier.recipients:compile_recipient": lambda n: (f"slack:{n}",),
    "sensor.changes:_put": lambda n: (f"a{n}", ""),
    "sensor.globs:_compiled": lambda n: (f"a{n}*",),
    "sensor.triggers.http:_url": lambda n: (f"http://x/{n}",),
    "spine.event:_names": lambda n: ("s", "t", f"e{n}", ""),
    "spine.http.egress:_address": lambda n: (f"10.0.{n // 256}.{n % 256}",),
    "spine.lang.gjson.grammar:index": lambda n: (f"a{n}",),
    "spine.lang.gjson.grammar:key": lambda n: (f"a{n}",),
    "spine.lang.gjson.path:_compiled": lambda n: (f"a{n}",),
    "spine.lang.gjson.path:compile": lambda n: (f"a{n}",),
    "spine.lang.gjson.path:matches": lambda n: (condition(n),),
    "spine.lang.gotemplate:_compiled": lambda n: (f"{{{{ .a{n} }}}}",),
    "spine.lang.gotemplate.lexer:_lines": lambda n: (f"{n}\n",),
    "spine.lang.gotime.layouts:pieces": lambda n: (f"2006 {n}",),
    "spine.lang.gotime.zones:zone": lambda n: (ZONES[n],),
    "spine.lang.govaluate:compile": lambda n: (f"a == {n}",),
    "spine.lang.govaluate.tokens:_moment": lambda n: (f"2026-01-01 00:{n // 60:02}:{n % 60:02}",),
    "spine.lang.jq:compile": lambda n: (f".a{n}",),
    "spine.lang.jsonpath:compile": lambda n: (f"a{n}",),
    "spine.lang.lua:compile": lambda n: (f"return {n}",),
    "spine.lang.lua.checks:compile": lambda n: (f"return {{n={n}}}",),
    "spine.lang.regex:compile": lambda n: (f"a{n}",),
    "spine.lang.sjson:compile": lambda n: (f"a{n}",),
}


def condition(number: int) -> grammar.Condition:
    found = grammar.index(f"#(a=={number})").condition
    assert found is not None
    return found


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_stays_as_large_as_it_is(name: str) -> None:
    module, _, function = name.partition(":")
    cached: Any = getattr(importlib.import_module(module), function)
    most = cached.cache_info().maxsize
    for number in range(most + 3):
        cached(*CACHES[name](number))
    assert cached.cache_info().currsize == most
    cached.cache_clear()
