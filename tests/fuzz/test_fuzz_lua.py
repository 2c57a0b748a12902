"""Lua: made-up programs on made-up data, as transforms and as filters."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from fuzz_kit import fuzz, mangled, nested, objects, words
from hypothesis import strategies as st

from spine.lang import EvaluationError, lua


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs that have no end be ended soon."""
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", "0.05")
    monkeypatch.setenv("TOCSIN_PROGRAM_OUTPUT", "200k")
    monkeypatch.setattr("spine.lang.lua.engine._current", None)


LEAVES = [
    *("a", "b", "s", "t", "event", "event.a", "event.b", "event['a.b']", "event.key", "nil", "{}"),
    *("0", "1", "2", "-1", "0.1", "1e15", "1e300", "2^53", "010", "0x10", "true", "false"),
    *("''", "'a'", "'10'", "'0x1F'", '"é"', "[[x]]", "'%d'", "'(%a+)-'", "'a.-'", "'%b()'"),
]
FUNCTIONS = """
    assert error getfenv getmetatable ipairs load loadstring next pairs pcall rawget rawset select
    setfenv setmetatable tonumber tostring type unpack xpcall string.byte string.char string.find
    string.format string.gmatch string.gsub string.match string.rep string.reverse string.sub
    string.upper table.concat table.getn table.insert table.maxn table.remove table.sort math.floor
    math.fmod math.max math.random math.modf os.date os.time coroutine.wrap coroutine.resume
""".split()  # noqa: SIM905 -- shorter
METHODS = "upper sub find rep gsub format byte match lower len".split()  # noqa: SIM905 -- shorter
BINARY = "+ - * / % ^ .. == ~= < <= > >= and or".split()  # noqa: SIM905 -- shorter
PLACES = ["a", "t.x", "event.a", "event[1]", "s", "event.b.c", "a, b", "event['k']", "_G.x"]


class Writer:
    """Writes programs at random; one seed, one program: quicker than piece by piece."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def program(self) -> str:
        body = self.block(3, 4)
        if self.dice.random() < 0.9:
            body = f"pcall(function()\n{body}\nend)"
        gives = self.any(
            lambda: self.table(2),
            lambda: f"{{pcall(function() return tostring({self.expression(3)}) end)}}",
            lambda: f"{{pcall(function() return #({self.expression(3)}) end)}}",
        )
        return f"local a, b, s, t = 1, {{}}, 'x', {{}}\n{body}\nreturn {gives}"

    def any(self, *makers: Callable[[], str]) -> str:
        return self.dice.choice(makers)()

    def some(self, depth: int, most: int = 3) -> str:
        return ", ".join(self.expression(depth) for _ in range(self.dice.randrange(most + 1)))

    def table(self, depth: int) -> str:
        field = f"k = {self.expression(depth)}, " if self.dice.random() < 0.5 else ""
        return f"{{{field}{self.some(depth)}}}"

    def expression(self, depth: int) -> str:
        if depth == 0 or self.dice.random() < 0.3:
            return self.dice.choice(LEAVES)
        one, two = self.expression(depth - 1), self.expression(depth - 1)
        return self.any(
            lambda: f"{one} {self.dice.choice(BINARY)} {two}",
            lambda: f"{self.dice.choice(['-', 'not', '#'])} {one}",
            lambda: f"({one})[{two}]",
            lambda: f"{self.dice.choice(FUNCTIONS)}({self.some(depth - 1)})",
            lambda: f"({one}):{self.dice.choice(METHODS)}({self.some(depth - 1)})",
            lambda: f"(function(...) return {one}, ... end)({two})",
            lambda: self.table(depth - 1),
        )

    def block(self, depth: int, most: int = 2) -> str:
        return "\n".join(self.statement(depth) for _ in range(self.dice.randrange(1, most + 1)))

    def statement(self, depth: int) -> str:
        one = self.expression(2)
        if depth == 0 or self.dice.random() < 0.4:
            return self.any(
                lambda: f"local {self.dice.choice(['a', 't', 's, n'])} = {one}",
                lambda: f"{self.dice.choice(PLACES)} = {one}",
                lambda: f"table.insert(event, {one})",
                lambda: f"t[#t + 1] = {one}",
            )
        body = self.block(depth - 1)
        return self.any(
            lambda: f"for k, v in pairs({one}) do\n{body} end",
            lambda: f"for i, v in ipairs({one}) do {body} end",
            lambda: f"for i = 1, {one} do {body} end",
            lambda: f"while {one} do {body} break end",
            lambda: f"repeat {body} until {one}",
            lambda: f"if {one} then {body} else {body} end",
            lambda: f"local function f(a, ...) {body} end f({one})",
            lambda: f"pcall(function() {body} end)",
            lambda: f"coroutine.wrap(function() {body} coroutine.yield({one}) end)()",
        )


written = st.integers(0, 2**48).map(lambda seed: Writer(seed).program())
nestings = nested(
    1500,
    *[("(", ")"), ("{", "}"), ("a.", "b"), ("function() ", " end"), ("not ", ""), ("[[", "]]")],
    *[("if a then ", " end"), ("a..", ""), ("- ", ""), ("a(", ")"), ("{a=", "}"), ("2^", "")],
)
pieces = words(
    "local ", "a", " = ", "function() ", "end ", "return ", "{", "}", "..", "1", "::a:: "
)
programs = st.one_of(
    *[mangled(written, "(){}[]=.,:;'\"\\-<>~#%0a\n")] * 6, pieces, nestings.map("return {}".format)
)


@fuzz(programs, objects().map(json.dumps), cpu=4)
def test_lua(program: str, given: str) -> Any:
    compiled = lua.compile(program)
    try:
        passes = compiled.test(given.encode())
    except EvaluationError:
        passes = False
    assert passes in {True, False}
    return compiled.run(given.encode())
