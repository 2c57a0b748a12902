"""Lua programs mean what they mean to gopher-lua."""

import json
from dataclasses import dataclass

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, lua


@dataclass(frozen=True)
class Case:
    source: str
    wanted: str
    data: str = "{}"

    def __str__(self) -> str:
        return self.source


GIVES = [
    # what comes in
    Case("return event", '{"a":[1,"x",{"b":true}]}', '{"a": [1, null, "x", [1], {"b": true}]}'),
    Case("return event", '{"a":{},"b":{}}', '{"a": [], "b": {}, "c": null}'),
    Case("event.a = 1 return event", '{"a":1}', "null"),
    Case("return {n = event.n}", '{"n":12345678901234567000}', '{"n": 12345678901234567890}'),
    Case("return {#event.a}", "[3]", '{"a": "\\ud800"}'),
    # what comes out
    Case("return {a = 1}, {b = 2}", '{"b":2}'),
    Case("return {[3] = 'c', x = 1}", '[null,null,"c"]'),
    Case("return {[0] = 1, [-1] = 2, [1.5] = 3, [true] = 4}", '{"-1":2,"0":1,"1.5":3,"true":4}'),
    Case("return {[-2000000] = 1}", '{"-2e+06":1}'),
    Case("return {a = setmetatable({}, {__is_array = true})}", '{"a":[]}'),
    Case("return {1e20, 1e21, 1e-7, -0.0, 1/3}", "[100000000000000000000,1e+21,1e-7,-0,"
         "0.3333333333333333]"),
    Case("return {'<&>', '\\0', '\"', '\\127'}",
         '["\\u003c\\u0026\\u003e","\\u0000","\\"","\x7f"]'),
    Case("return {'é\\255', '\\237\\160\\128'}", '["é\\ufffd","\\ufffd\\ufffd\\ufffd"]'),
    Case("return {'\\239\\191\\189\\255'}", '["\ufffd\\ufffd"]'),
    # numbers as texts
    Case("return {0.1 + 0.2 .. '', 1e15 .. '', 10 / 2 .. ''}",
         '["0.30000000000000004","1000000000000000","5"]'),
    Case("return {tostring(1e18), tostring(1e19), tostring(1234567.5), tostring(1e-5)}",
         '["1000000000000000000","1e+19","1.2345675e+06","1e-05"]'),
    Case("return {tostring(1/0), tostring(-1/0), tostring(0/0), tostring(-0.0)}",
         '["+Inf","-Inf","NaN","0"]'),
    Case("return {tostring(5e-324), tostring(2^63), tostring(-2^63)}",
         '["5e-324","9.223372036854776e+18","-9223372036854775808"]'),
    Case("return {table.concat({1.5, 1e15, 'x'}, ',')}", '["1.5,1000000000000000,x"]'),
    Case("local s = '' for i = 1, 3 do s = s .. i end return {s}", '["123"]'),
    # texts as numbers
    Case("return {'10' + 5, '0x10' + 0, '010' + 0, ' 5 ' * 2, -'2'}", "[15,16,8,10,-2]"),
    Case("return {n = {tonumber('0x1F'), tonumber('010'), tonumber('.5'), tonumber('ff', 16)}}",
         '{"n":[31,10,0.5,255]}'),
    Case("return {a = tonumber('1e2'), b = tonumber('1_0'), c = tonumber('nan')}", "{}"),
    Case("return {010, 0x10, 1e2, .5, 5.}", "[10,16,100,0.5,5]"),
    # arithmetic
    Case("return {-7 % 3, 7 % -3, 5.5 % 2, 5 % math.huge, -5 % math.huge}",
         "[2,-2,1.5,5,1.7976931348623157e+308]"),
    Case("return {2^3^2, -2^2, 7 / 2, 10 - 3 - 2}", "[512,-4,3.5,5]"),
    # tables
    Case("return {#{nil, nil, 3}, #{1, nil, 3}, #{[10] = 1}, #{1, nil, nil}}", "[3,3,10,1]"),
    Case("local t = {1, 2, 3} t[2] = nil return {#t}", "[3]"),
    Case("local t = {} for i = 1, 5 do t[#t + 1] = i end return t", "[1,2,3,4,5]"),
    Case("local t = {1, 2, 3} table.insert(t, 5, 9) return t", "[1,2,3,null,9]"),
    Case("local t = {1, 2, 3} return {table.remove(t, 1), table.remove(t), #t}", "[1,3,1]"),
    Case("local s = '' for k in pairs({z = 1, b = 2, 7, 8, a = 3}) do s = s .. k end return {s}",
         '["12zba"]'),
    Case("local t = {z = 1} t.b = 2 t.z = nil t.a = 3 t.z = 4 local s = '' "
         "for k in pairs(t) do s = s .. k end return {s}", '["zba"]'),
    Case("local a, t = 1, {} a, t[a] = 2, 3 for k, v in pairs(t) do t.k = k end return {a, t[1]}",
         "[2,3]"),
    Case("return {'b', [1] = 'a'}", '["b"]'),
    Case("local t = {} t.a, t.b = 1, 2, pairs t.c = 3, 4 t.d, t.e = 5 return t",
         '{"a":1,"b":2,"c":3,"d":5}'),
    Case("local t = {{k = 2, n = 'a'}, {k = 1, n = 'b'}, {k = 2, n = 'c'}} "
         "table.sort(t, function(a, b) return a.k < b.k end) return {t[1].n .. t[2].n .. t[3].n}",
         '["bac"]'),
    Case("return {unpack({1, nil, 3})}", "[1,null,3]"),
    Case("return {select('#', nil, nil), (select(2, 'a', 'b'))}", '[2,"b"]'),
    # texts
    Case("return {('Havørn'):upper(), ('ÅSE'):lower(), ('ß'):upper(), #'ø'}",
         '["HAVØRN","åse","ß",2]'),
    Case("return {('a,b'):gsub(',', '%%'), ('hello'):gsub('l', {l = 1.5})}",
         '["a%b","he1.51.5o",2]'),
    Case("return {('THE (quick) fox'):gsub('%f[%a]%a+', 'x')}", '["THE (quick) x",1]'),
    Case("return {('abc'):find(''), ('a.b'):find('.', 1, true)}", "[1,2,2]"),
    Case("local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[k] = v end return t",
         '{"a":"1","b":"2"}'),
    Case("local t = {} for w in ('aab'):gmatch('^a') do t[#t + 1] = w end return t", '["a"]'),
    Case("return {('x'):rep(-1), ('ab'):rep(2.7), ('abc'):sub(-2), string.char(-1) == '\\255'}",
         '["","abab","bc",true]'),
    Case("return {'\\x41', '\\065', '\\z', 'a\\\nb'}", '["x41","A","z","a\\nb"]'),
    # format, with the verbs of Go
    Case("return {string.format('%d %5.2f %s %q %x', 3.7, 2.675, 1e100, 'a\"b', 255)}",
         '["3  2.67 1e+100 \\"a\\\\\\"b\\" ff"]'),
    Case("return {string.format('%u %d', 3)}", '["%!u(int64=3) %!d(MISSING)"]'),
    Case("return {string.format('%05d|%-5s|%5.1s|%+d|%v', 3, 'ab', 'abc', 2, 0.5)}",
         '["00003|ab   |    a|+2|0.5"]'),
    Case("return {string.format('%g %g %.3g %e', 1e6, 0.5, 1234.5, 1.5)}",
         '["1e+06 0.5 1.23e+03 1.500000e+00"]'),
    # control
    Case("for i = 1, 3 do if i == 2 then goto c end event[#event + 1] = i ::c:: end return event",
         "[1,3]"),
    Case("local function f(...) return arg.n, arg[2] end return {f(5, 6)}", "[2,6]"),
    Case("local ok, e = pcall(function() error('x') end) return {ok, e}",
         '[false,"\\u003cstring\\u003e:1: x"]'),
    Case("return {xpcall(function() error('a', 0) end, function(e) return e .. '!' end)}",
         '[false,"a!"]'),
    Case("local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) "
         "return {co(), co(), co()}", "[1,2,3]"),
    Case("local t = setmetatable({}, {__index = function(_, k) return k .. '!' end, "
         "__len = function() return 42 end}) return {t.x, #t}", '["x!",42]'),
    Case("return {loadstring('return event.n')()}", "[5]", '{"n": 5}'),
    Case("local p, i = {'return ', '7'}, 0 "
         "return {load(function() i = i + 1 return p[i] end)()}", "[7]"),
    Case("string.shout = function(s) return s .. '!' end return {('x'):shout()}", '["x!"]'),
    Case("return {getfenv(1) == _G, _G.event == event, type(getfenv(print))}",
         '[true,true,"table"]'),
    Case("setfenv(1, {}) return {event == nil}", "[true]"),
    Case("print('hi', io, os) return {collectgarbage('count')}", "{}"),
    Case("return {os.time({year = 2024, month = 1, day = 2}), os.date('!%Y-%m-%d', 86400)}",
         '[1704196800,"1970-01-02"]'),
]  # fmt: skip


@pytest.mark.parametrize("case", GIVES, ids=str)
def test_gives(case: Case) -> None:
    assert lua.compile(case.source).run(case.data.encode()).decode() == case.wanted


FAILS = [
    Case("error('boom')", "^line 1: boom$"),
    Case("local x\n\nreturn x.y", "^line 3: attempt to index local 'x'"),
    Case("string.rep()", "^line 1: bad argument #1 to rep"),
    Case("\nreturn ('x'):nosuch()", "^line 2: "),
    Case("local a = 1 local b = math.floor()", "^line 1: bad argument #1 to floor"),
    Case("math.pow(1)", "^line 1: bad argument #2 to pow"),
    Case("pcall()", "^line 1: bad argument #1 to pcall"),
    Case("table.sort({1, 'a'})", "compare"),
    Case("error({code = 5})", "error object is a table"),
    Case("local x = 1", "returned nothing, not a table"),
    Case("return {}, 'x'", "returned a string, not a table"),
    Case("return {0 / 0}", "unsupported value: NaN"),
    Case("return {f = print}", "a function cannot be part"),
    Case("return {[{}] = 1}", "a table cannot be a key"),
    Case("local t = {} t.t = t return t", "nested too deeply"),
    Case("return {}", "an array, not an object", "[1]"),
    Case("return {}", "a number, not an object", "5"),
    Case("return {}", "not JSON", "nope"),
    Case("return {}", "not JSON", ""),
    Case("return {}", "number that is too large", '{"a": 1e999}'),
    Case("return {}", "nested too deeply", '{"a":' * 200 + "1" + "}" * 200),
    Case("local g = os.getenv return {g('HOME')}", "os.getenv is not available to programs"),
    Case("return {pcall(1, io.open('x'))}, x", "io.open is not available", "{}"),
]


@pytest.mark.parametrize("case", FAILS, ids=str)
def test_fails(case: Case) -> None:
    with pytest.raises((EvaluationError, ConfigError), match=case.wanted):
        lua.compile(case.source).run(case.data.encode())


REFUSED = [
    Case("return {", "line 1: unexpected end$"),
    Case("return (1", "line 1: unexpected end: '\\)' is missing"),
    Case("return event.", "line 1: unexpected end: a name is missing"),
    Case("goto x", "line 1: undefined label 'x'"),
    Case("return event != 1", r"line 1: '!' is no part of Lua \(write ~=\)"),
    Case("return event && 1", r"\(write and\)"),
    Case("return “x”", r"\(write plain quotes\)"),
    Case("x = = 1", "line 1: '=' is not expected"),
    Case("\n\nfoo", "line 3: "),
    Case("return 1 return 2", "'return' cannot be reached"),
    Case("while true do break local x = 1 end", "'local' cannot be reached"),
    Case("break", "break is in no loop"),
    Case("do goto nope end", "nope"),
    Case("return 'unfinished", "does not end"),
    Case("return [[x", "nothing closes"),
    Case("return 1 // 2", "'/' is not expected"),
    Case("return 7 & 3", "'&' is no part of Lua"),
    Case("return 1 != 2", "'!' is no part of Lua"),
    Case("local x <const> = 1", "'<'"),
    Case("return 0x", "0x is no number"),
    Case("return {1..2}", "'.2'"),
    Case("return event.goto", "'goto'"),
    Case("local function f() return ... end", r"'\.\.\.' is not in a function"),
    Case("return os.getenv('HOME')", "line 1: os.getenv is not available to programs in manifests"),
    Case("if false then\nrequire 'x' end", "line 2: require is not available"),
    Case("io.write('x')", "io.write is not available"),
    Case("\x1bLua", "is no part of Lua"),
    Case("return " + "(" * 500 + "1" + ")" * 500, "nested too deeply"),
    Case("x" * 300_000, "longer than"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c.source[:40])
def test_refused(case: Case) -> None:
    with pytest.raises(ConfigError, match=case.wanted):
        lua.compile(case.source)


def test_own_names_may_be_those_of_what_is_not_offered() -> None:
    program = lua.compile("local os = {getenv = function(n) return n end} return {os.getenv('x')}")
    assert program.run(b"{}") == b'["x"]'


PRESENT = (
    "loadstring load require newproxy unpack coroutine channel debug io.open os.getenv os.time "
    "table.maxn table.getn string.gfind math.mod string.dump dofile package.path io.stdout"
)


@pytest.mark.parametrize("name", PRESENT.split())
def test_what_is_looked_for_is_there(name: str) -> None:
    assert lua.compile(f"return {name} ~= nil").test(b"{}")


@pytest.mark.parametrize("name", ["bit", "bit32", "jit", "python", "table.pack", "table.unpack"])
def test_what_gopher_lua_has_not_is_not_there(name: str) -> None:
    assert lua.compile(f"return {name} == nil").test(b"{}")


VERDICTS = [
    Case("return true", "True"),
    Case("return 1", "False"),
    Case("return 'true'", "False"),
    Case("return", "False"),
    Case("", "False"),
    Case("return true, nil", "False"),
    Case("return false, true", "True"),
    Case("return event.n > 10", "True", '{"n": 11}'),
    Case("return next(event) == nil", "True", "null"),
]


@pytest.mark.parametrize("case", VERDICTS, ids=str)
def test_verdict(case: Case) -> None:
    assert str(lua.compile(case.source).test(case.data.encode())) == case.wanted


LEAKS = [
    Case("x = (x or 0) + 1 return {x}", "[1]"),
    Case("string.x = (string.x or 0) + 1 return {string.x}", "[1]"),
    Case("local m = getmetatable('') m.n = (m.n or 0) + 1 return {m.n}", "[1]"),
    Case("_G.print, math.pi = 5, 6 return {math.pi}", "[6]"),
    Case("package.loaded.x = (package.loaded.x or 0) + 1 return {package.loaded.x}", "[1]"),
    Case("local e = getfenv(0) e.y = (e.y or 0) + 1 return {e.y}", "[1]"),
    Case("local e = getfenv(string.find) e.y = (e.y or 0) + 1 return {e.y}", "[1]"),
    Case("math.randomseed(5) return {math.random(1, 1)}", "[1]"),
]


@pytest.mark.parametrize("case", LEAKS, ids=str)
def test_nothing_of_an_event_is_there_for_the_next(case: Case) -> None:
    programs = [lua.compile(case.source), lua.Program(case.source)]
    seen = {program.run(b"{}").decode() for program in programs for _ in range(3)}
    assert seen == {case.wanted}
    whole = lua.compile("return {('x'):upper(), type(print), math.pi, x, y, table.concat({1})}")
    assert whole.run(b"{}") == b'["X","function",3.141592653589793,null,null,"1"]'


def test_no_run_can_break_the_library_for_those_after_it() -> None:
    breaking = """
        local pcall, setfenv, string, table, meta = pcall, setfenv, string, table, getmetatable('')
        local function all() for i = 1, 12 do pcall(setfenv, i, {}) end return 'x' end
        ('a'):gsub('a', all)
        table.sort({2, 1}, function() all() return true end)
        string.upper, string.gsub, table.concat = nil, nil, nil
        meta.__index = nil
        return {1}
    """
    lua.compile(breaking).run(b"{}")
    after = lua.compile("""
        local s = ('b'):gsub('b', 'c') table.sort({2, 1})
        return {s:upper(), string.format('%d', 3), table.concat({1, 2})}
    """)
    assert after.run(b"{}") == b'["C","3","12"]'


NATIVE = [
    "rawequal rawget select type ipairs getmetatable coroutine.create coroutine.status os.clock",
    "coroutine.running coroutine.yield os.difftime math.abs math.ceil math.exp math.fmod",
    "math.frexp math.ldexp math.log math.max math.modf math.pow math.sqrt math.tan math.floor",
]


@pytest.mark.parametrize("name", " ".join(NATIVE).split())
def test_functions_do_not_take_what_an_earlier_call_left_behind(name: str) -> None:
    source = """
        local function left(...) return ... end
        local function call() left(VALUES) return (FUNCTION()) end
        left(VALUES)
        local ok, found = pcall(call)
        return {type(found) == 'number', type(found)}
    """
    seen = {
        lua.compile(source.replace("VALUES", values).replace("FUNCTION", name)).run(b"{}")
        for values in ("4.5, 5.5, 6.5, 7.5", "{}, {}, {}, {}", "'a', 'b', 'c', 'd'", "nil")
    }
    assert len(seen) == 1


def test_random_numbers_are_the_data_s() -> None:
    program = lua.compile("return {math.random(), math.random(100)}")
    first, second = (program.run(b'{"a": 1}') for _ in range(2))
    assert first == second
    assert program.run(b'{"a": 2}') != first


@pytest.mark.parametrize(
    ("source", "safe"),
    [
        ("return event.a.b == 1 and event.c ~= nil", True),
        ("return {a = event.name:upper(), b = math.floor(event.n / 2), c = #event.l}", True),
        ("event.x = 'a' .. event.y event.z = nil return event", True),
        ("if type(event.a) == 'string' then return event.a:sub(1, 3) == 'abc' end", True),
        ("return event.ref:match('^C%-') ~= nil", True),
        ("return string.find(event.tags, 'x') == 1", True),
        ("return {event.s:gsub('%-', '_')}", True),
        ("local h = math.huge return event.n < h", True),
        ("return event.s:find('a.-b')", False),
        ("return event.s:match('^%s*(.-)%s*$')", False),
        ("return event.s:find(event.p)", False),
        ("return event.s:rep(1000)", False),
        ("while true do end", False),
        ("for i = 1, 2 do end return true", False),
        ("::a:: goto a", False),
        ("local f = function() end return true", False),
        ("function f() end return true", False),
        ("local f = string.rep return f('x', 1e9)", False),
        ("local t = {rep = tostring} return true", False),
        ("tostring = string.rep return tostring('x', 1e9)", False),
        ("string.upper = string.rep return true", False),
        ("local string = event return string.upper(1)", False),
        ("return _G.string.upper('x')", False),
        ("return (string).upper('x')", False),
        ("return string['upper']('x')", False),
        ("return setmetatable({}, {})", False),
        ("return event.f()", False),
        ("return loadstring('x')", False),
        ("local s = 'a' " + "s = s .. s " * 50 + "return true", False),
    ],
)
def test_safe(source: str, safe: bool) -> None:
    program = lua.compile(source)
    assert program.safe is safe, program.doubt
    assert bool(program.doubt) is not safe


def test_lines_are_those_of_the_source() -> None:
    source = (
        "--[[ a\nb ]]\nlocal t = {\n a = 1,\n 'x\\\ny',\n}\nlocal s = 1 .. [[\n2\n]]\n"
        "for k, v in pairs(t) do\n t[k] = v\nend\nerror('here')"
    )
    with pytest.raises(EvaluationError, match="line 14: here"):
        lua.compile(source).run(b"{}")


def test_lines_are_those_of_the_source_wherever_words_stand() -> None:
    source = "local a,\nb\n=\n1,\n2\n;\n;\na,\nb\n=\nb\n,\na\nerror(\n'here')"
    with pytest.raises(EvaluationError, match="line 14: here"):
        lua.compile(source).run(b"{}")


def test_what_only_the_engine_refuses_is_told_with_its_line() -> None:
    source = "\n\n" + "".join(f"local a{n} = 1\n" for n in range(210))
    with pytest.raises(
        ConfigError, match=r"': line \d+: function at line 1 has more than 200 local"
    ):
        lua.compile(source)


def test_an_object_goes_through_as_it_is() -> None:
    data = {"s": "<é>", "n": [1, 2.5, -3], "o": {"t": True, "f": False}, "e": ""}
    made = json.loads(lua.compile("return event").run(json.dumps(data).encode()))
    assert made == data
