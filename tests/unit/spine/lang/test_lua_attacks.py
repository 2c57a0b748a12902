"""Lua programs that are out for trouble: each ends, in bounds, and reaches nothing.

A crash of the machine would end this process, and all tests with it.
"""

import re
import resource
import time
from contextlib import suppress
from dataclasses import dataclass

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, lua

MIB = 2**20
STEPS, TIME, MEMORY, OUTPUT = "steps", "time", "memory", "returned too much"


@dataclass(frozen=True)
class Attack:
    name: str
    source: str
    wanted: str
    """What the error, or what it gives, is about; several of them with `|`."""

    def __str__(self) -> str:
        return self.name


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", "0.4")
    monkeypatch.setenv("TOCSIN_PROGRAM_MEMORY", "256Mi")
    monkeypatch.setenv("TOCSIN_PROGRAM_OUTPUT", "1Mi")
    monkeypatch.setattr("spine.lang.lua.engine._current", None)


HANGS = [
    Attack("while", "while true do end", STEPS),
    Attack("repeat", "repeat until false", STEPS),
    Attack("goto", "::a:: goto a", STEPS),
    Attack("for", "for i = 1, math.huge do end", STEPS),
    Attack("for without a step", "for i = 1, 2, 0 do end", STEPS),
    Attack("tail calls", "local function f() return f() end f()", STEPS),
    Attack("pcall", "while true do pcall(function() while true do end end) end", STEPS),
    Attack("pcall of itself", "local function f() while true do pcall(f) end end f()",
           "steps|time"),
    Attack("xpcall", "xpcall(function() while true do end end, function() end) return {}", STEPS),
    Attack("handler", "xpcall(error, function() while true do end end)", STEPS),
    Attack("handler of the end",
           "local function f() while true do end end xpcall(f, f) return {}", STEPS),
    Attack("coroutine", "coroutine.wrap(function() while true do end end)()", STEPS),
    Attack("coroutines", "while true do "
           "coroutine.resume(coroutine.create(function() while true do end end)) end", STEPS),
    Attack("coroutines in coroutines",
           "local function f() coroutine.wrap(f)() end f()", "nested too deeply"),
    Attack("caught coroutines",
           "local function f() pcall(coroutine.wrap(f)) f() end f()", "steps|time|stack overflow"),
    Attack("recursion", "local function f() return 1 + f() end f()", "stack overflow"),
    Attack("recursion with arguments", "local function f(...) return f(1, ...) end f()",
           "stack overflow|steps|time"),
    Attack("sort", "local t = {} for i = 1, 99 do t[i] = i end "
           "table.sort(t, function() while true do end end)", STEPS),
    Attack("sort without an order", "local t = {} for i = 1, 9999 do t[i] = i end "
           "table.sort(t, function() return true end) return {#t}", r"\[9999\]|steps"),
    Attack("gsub", "('a'):gsub('a', function() while true do end end)", STEPS),
    Attack("next", "local t = {a = 1} while true do next(t) end", "steps|time"),
    Attack("pairs that grow", "local t = {a = 1} for k in pairs(t) do t[k .. 'x'] = 1 end",
           "steps|time|memory"),
    Attack("load", "while true do loadstring('return 1') end", "steps|time"),
    Attack("load for ever", "load(function() return 'x ' end)", "steps|time|memory"),
    Attack("finalizers", "for i = 1, 1e4 do setmetatable({}, "
           "{__gc = function() while true do end end}) end return {}", "{}"),
    Attack("error that is a table", "error(setmetatable({}, "
           "{__tostring = function() while true do end end}))", "error object is a table"),
    Attack("patterns", '("a"):rep(30000):find((".-"):rep(8) .. "b")', STEPS),
    Attack("greedy patterns", '("a"):rep(30000):find(("a*"):rep(8) .. "b")', STEPS),
    Attack("optional patterns", '("a"):rep(99):find(("a?"):rep(99) .. ("a"):rep(99) .. "b")',
           STEPS),
    Attack("patterns of gsub", '("a"):rep(20000):gsub((".-"):rep(5) .. "b", "x")', STEPS),
    Attack("patterns of gmatch",
           'for x in ("a"):rep(20000):gmatch((".-"):rep(5) .. "b") do end', STEPS),
    Attack("balanced patterns", '("("):rep(100000):gsub("%b()%b()%b()", "")', STEPS),
    Attack("captures", '("a"):rep(20000):find("(.-)%1%1%1b")', "steps|time"),
    Attack("large sets", '("a"):rep(1e6):find("[" .. ("b"):rep(10000) .. "]")', "steps|time"),
    Attack("trailing space", 'return {tonumber((" "):rep(1e6) .. "x")}', "{}"),
]  # fmt: skip

SWELLS = [
    Attack("doubling", "local s = 'a' while true do s = s .. s end", MEMORY),
    Attack("doubling, caught", "local s = 'a' while true do pcall(function() s = s .. s end) end",
           MEMORY),
    Attack("rep", "return {('x'):rep(1e8)}", MEMORY),
    Attack("rep beyond 32 bits", "return {('x'):rep(2^32 + 1)}", MEMORY),
    Attack("rep, caught", "while true do pcall(string.rep, 'x', 1e9) end", MEMORY),
    Attack("tables", "local t, i = {}, 0 while true do i = i + 1 t[i] = {i} end", "memory|steps"),
    Attack("keys", "local t = {} for i = 1, 1e7 do t['k' .. i] = i end", "memory|steps|time"),
    Attack("gsub", "local s = 'aaaaaaaaaa' while true do s = s:gsub('a', '%0%0%0') end",
           "memory|steps|time"),
    Attack("concat", "local s = ('x'):rep(1e6) while true do s = table.concat({s, s}) end", MEMORY),
    Attack("format", "return {string.format('%999999d', 1)}", "a width above"),
    Attack("concat of nothing", "table.concat({}, 'x', 1, 1e12)", "invalid value"),
    Attack("unpack", "unpack({}, 1, 1e9)", "too many results"),
    Attack("a high index", "local t = {} t[2^25] = 1 return t", OUTPUT),
    Attack("a long text", "return {('x'):rep(2e6)}", OUTPUT),
    Attack("a long text, caught", "return {pcall(function() return ('x'):rep(2e6) end)}", OUTPUT),
    Attack("many items", "local t = {} for i = 1, 1e5 do t[i] = '0123456789' end return t", OUTPUT),
    Attack("shared tables", "local t = {} for i = 1, 60 do t = {a = t, b = t} end return t",
           "returned too much|steps|time"),
    Attack("shared lists", "local t = {1} for i = 1, 60 do t = {t, t} end return t",
           "returned too much|steps|time"),
    Attack("shared tables of a safe program", "local a = {event, event} local b = {a, a, a, a} "
           "local c = {b, b, b, b} local d = {c, c, c, c, c, c} local e = {d, d, d, d, d, d} "
           "local f = {e, e, e, e, e, e} local g = {f, f, f, f, f, f} return {g, g, g, g, g, g}",
           "returned too much|memory"),
    Attack("doubling in a safe program", "local s = event.s " + "s = s .. s " * 30 + "return {s}",
           MEMORY),
    Attack("depth", "local t = {} for i = 1, 1e5 do t = {t} end return t", "nested too deeply"),
    Attack("a long error", "error(('x'):rep(1e6))", r"x{400,500}$"),
    Attack("compiling at the brink", "local t, n = {}, 0 while true do n = n + 1 "
           "t[n] = ('x'):rep(1000) .. n if n % 50 == 0 then loadstring('return 1') end end",
           "memory|time|steps"),
]  # fmt: skip

REACHES = [
    Attack("bytecode", "return {loadstring('\\27LJ\\2\\2') == nil}", r"\[true\]"),
    Attack("hosts", "return {python == nil, jit == nil, ffi == nil, bit == nil, "
           "package.loaded.io == nil, package.preload.ffi == nil}",
           r"\[true,true,true,true,true,true\]"),
    Attack("globals of the machine", "local r = {} for i = 0, 9 do local ok, e = pcall(getfenv, i) "
           "if ok and e.python or ok and e.xpcall and e.os.execute == nil then r[1] = i end end "
           "return r", "{}"),
    Attack("globals of its functions", "return {getfenv(string.find) == _G, getfenv(pcall) == _G}",
           r"\[true,true\]"),
    Attack("environments of its functions", "setfenv(string.find, {})", "cannot be changed"),
    Attack("environment of the thread", "setfenv(0, {})", "cannot be changed"),
    Attack("Python's members", "return {event.__class__ == nil, ('').__class__ == nil, "
           "pcall == nil, tostring(event):sub(1, 6)}", r'\[true,true,false,"table:"\]'),
    Attack("ours by their names", "return {z0S == nil, z0K == nil, S == nil}",
           r"\[true,true,true\]"),
    Attack("hooks", "local d = debug.sethook return {d == nil}", r"\[true\]"),
    Attack("what is refused, under another name", "local f = os['exec' .. 'ute'] return {f('id')}",
           "os.execute is not available"),
    Attack("what is refused, caught", "return {pcall(io['open'], '/etc/passwd')}",
           "io.open is not available"),
    Attack("handles", "return {io.stdout.write == nil}", r"\[true\]"),
    Attack("a userdata", "local p = newproxy return {p(true)}", "newproxy is not available"),
    Attack("the error that ends it", "local ok, e = pcall(function() while true do end end) "
           "return {tostring(e)}", STEPS),
]  # fmt: skip


@pytest.mark.parametrize("attack", HANGS + SWELLS + REACHES, ids=str)
def test_attack(attack: Attack) -> None:
    program = lua.Program(attack.source)
    before, start = _resident(), time.process_time()
    try:
        told = program.run(b'{"s": "some text"}').decode()
    except EvaluationError as exc:
        told = str(exc)
    took = time.process_time() - start
    assert any(wanted in told or re.search(wanted, told) for wanted in attack.wanted.split("|"))
    assert took < 3
    assert _resident() - before < 160
    assert lua.compile("return {1}").run(b"{}") == b"[1]"


def _resident() -> int:
    """Return the most memory this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.mark.parametrize("step", ["pcall(rec)", "pcall(tostring, 1)", "xpcall(rec, tostring)"])
@pytest.mark.parametrize("size", [0, 3, 7, 12, 20, 40])
def test_loops_where_the_stack_is_full(step: str, size: int) -> None:
    """What looks at the limits has no room there; no loop may go on for that."""
    names = "".join(f"local a{n} = 1 " for n in range(size))
    source = f"local rec rec = function() {names} pcall(rec) while true do {step} end end rec()"
    start = time.process_time()
    with pytest.raises(EvaluationError, match=r"too many steps|too much time|stack overflow"):
        lua.Program(source).run(b"{}")
    assert time.process_time() - start < 3


SHAPES = [
    "return " + "(" * 5000 + "1" + ")" * 5000,
    "return " + "{" * 500 + "}" * 500,
    "return " + "function() return " * 200 + "1" + " end" * 200,
    "return {" + "..".join(["'a'"] * 5000) + "}",
    "return {" + " or ".join(["a"] * 5000) + "}",
    "return {" + "not " * 5000 + "a}",
    "return {" + "- " * 5000 + "1}",
    "return {" + "^".join(["2"] * 5000) + "}",
    "if a then " + "elseif a then " * 5000 + " end return {1}",
    "return {event" + ".a" * 5000 + "}",
    "return {f" + "()" * 5000 + "}",
    "return {" + "1," * 60000 + "}",
    "do " * 5000 + "end " * 5000,
    ",".join(f"a{i}" for i in range(5000)) + " = 1 return {1}",
    "".join(f"local a{i} = 1 " for i in range(250)) + "return {1}",
    "return {" + ",".join(f"[{i}.5] = {i}" for i in range(5000)) + "}, pairs",
    "[[" * 5000,
    "--[[" * 5000,
    "'" + "\\" * 5001,
]


@pytest.mark.parametrize("source", SHAPES, ids=lambda s: s[:20])
def test_shapes(source: str) -> None:
    start = time.process_time()
    with suppress(ConfigError, EvaluationError):
        lua.compile(source).run(b"{}")
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "source",
    [
        "return {event.s:find('ab')}",
        "return {event.s:find('^%s*b')}",
        "return {tonumber(event.s)}",
        "return {event.s:gsub('a', 'bcdefghijklmno')}",
        "return {#event.s, event.s:upper() == event.s:lower()}",
    ],
)
@pytest.mark.parametrize("letter", [" ", "a"])
def test_safe_programs_are_quick_on_long_texts(source: str, letter: str) -> None:
    program = lua.Program(source)
    assert program.safe
    data = b'{"s": "%s"}' % (letter.encode() * 1_000_000 + b"x")
    start = time.process_time()
    with suppress(EvaluationError):  # it makes too much
        program.run(data)
    assert time.process_time() - start < 1


def test_data_of_very_many_parts_is_refused() -> None:
    with pytest.raises(EvaluationError, match="more than 250,000 objects and lists"):
        lua.compile("return {}").run(b'{"a": [' + b"{}," * 250_000 + b"{}]}")
