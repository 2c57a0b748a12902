-- Runs programs: an environment of its own for each run, limits, and the library that is offered.

return function(values, patterns, sprintf, translate)
  local native = {
    sethook = debug.sethook, getinfo = debug.getinfo, setmetatable = debug.setmetatable, metatable_of = debug.getmetatable,
    getfenv = getfenv, setfenv = setfenv, pcall = pcall, loadstring = loadstring, clock = os.clock,
    date = os.date, time = os.time, tostring = tostring, tonumber = tonumber, getmetatable = getmetatable,
    rep = string.rep, sort = table.sort, unpack = unpack, resume = coroutine.resume,
    wrap = coroutine.wrap, create = coroutine.create, insert = table.insert, gsub = string.gsub,
    used = collectgarbage, seed = math.randomseed, random = math.random,
  }
  local type, error, select, rawget, rawset, next = type, error, select, rawget, rawset, next
  local floor, find, sub, format, byte, char = math.floor, string.find, string.sub, string.format,
    string.byte, string.char
  local number_text, size = values.number_text, values.size
  local upper_of, lower_of = {}, {}

  -- ----------------------------------------------------------------------- limits

  local STEP = 1000
  local killed, steps, most_steps, most_bytes, deadline
  local KILLED = {}

  local function kill(why)
    killed = why
    error(KILLED, 0)
  end

  local function tick()
    steps = steps + 1
    if steps > most_steps then kill("it took too many steps") end
    if native.clock() > deadline then kill("it took too much time") end
  end

  -- Errors that end the program whatever it tries to catch.
  local function final(err)
    if killed then return true end
    if type(err) == "string" and find(err, "not enough memory", 1, true) then
      killed = "it used too much memory"
    elseif err == values.TOO_MUCH then
      killed = "it returned too much"
    end
    return killed ~= nil
  end

  -- Where the stack is full even `tick` fails: as an error that the program catches. So whoever
  -- catches errors looks at the limits as well.
  local OVERFLOW = 100 -- steps that an overflow counts as

  local function overdue(err)
    if killed or most_steps == 0 then return end
    if type(err) == "string" and (find(err, "stack overflow", 1, true)
      or find(err, "error in error handling", 1, true)) then
      steps = steps + OVERFLOW
      if steps > most_steps then kill("it took too many steps") end
    end
    if native.clock() > deadline then kill("it took too much time") end
  end

  local function passed(ok, ...)
    if not ok then overdue((...)) end
    if not ok and final((...)) then error(KILLED, 0) end
    return ok, ...
  end

  -- ----------------------------------------------------------------------- arguments

  -- Raises an error at the line of the program that called us.
  local function fail(message)
    local level = 2
    while true do
      local frame = native.getinfo(level, "Sl")
      if not frame then error(message, 0) end
      if frame.source == "=<string>" then
        error("<string>:" .. frame.currentline .. ": " .. message, 0)
      end
      level = level + 1
    end
  end

  local function bad(n, name, wanted, value)
    fail("bad argument #" .. n .. " to " .. name .. " (" .. wanted .. " expected, got "
      .. type(value) .. ")")
  end

  local function text(value, n, name)
    if type(value) == "string" then return value end
    if type(value) == "number" then return number_text(value) end
    bad(n, name, "string", value)
  end

  local function table_(value, n, name)
    if type(value) ~= "table" then bad(n, name, "table", value) end
    return value
  end

  local function int(value, n, name, default)
    if value == nil and default then return default end
    if type(value) ~= "number" then bad(n, name, "number", value) end
    return value < 0 and -floor(-value) or floor(value)
  end

  -- ----------------------------------------------------------------------- the base library

  local base = {}
  local program_environment -- of the run that is under way

  for _, name in next, {
    "rawequal", "rawget", "select", "type", "ipairs",
  } do
    base[name] = _G[name]
  end
  base._VERSION, base._GOPHER_LUA_VERSION = "Lua 5.1", "GopherLua 0.1"

  function base.assert(...)
    local value, message = ...
    if value then return ... end
    if select("#", ...) > 1 and message ~= nil then error(message, 0) end
    fail("assertion failed!")
  end

  function base.error(value, level)
    if level == nil then level = 1 end
    error(value, level == 0 and 0 or level + 1)
  end

  function base.pcall(...)
    if select("#", ...) == 0 then bad(1, "pcall", "value", nil) end
    return passed(native.pcall(...))
  end

  local function handled(handler, ok, ...)
    if ok then return true, ... end
    overdue((...))
    if final((...)) then error(KILLED, 0) end
    return false, handler(...)
  end

  function base.xpcall(f, handler)
    return handled(handler, native.pcall(f))
  end

  function base.tostring(...)
    if select("#", ...) == 0 then bad(1, "tostring", "value", nil) end
    local value = ...
    local meta = native.metatable_of(value)
    if type(value) == "number" then return number_text(value) end
    if type(value) == "string" then return value end
    local own = meta and rawget(meta, "__tostring")
    if own then return own(value) end
    return native.tostring(value)
  end

  local LONGEST_NUMBER = 1000 -- to trim a longer text could take long

  local function read_number(given, radix)
    if #given > LONGEST_NUMBER then return nil end
    local trimmed = native.gsub(native.gsub(given, "^[ \t\n]+", ""), "[ \t\n]+$", "")
    if find(trimmed, ".", 1, true) then
      if find(trimmed, "^[+-]?%d*%.?%d*[eE]?[+-]?%d*$") then return native.tonumber(trimmed) end
      return nil
    end
    local sign, digits = string.match(trimmed, "^([+-]?)(%w+)$")
    if not sign then return nil end
    if not radix and sign == "" and find(digits, "^0[xX]") then radix, digits = 16, sub(digits, 3) end
    radix = radix or 10
    if radix == 10 and find(digits, "%D") or radix == 16 and find(digits, "%X") then return nil end
    local number = native.tonumber(digits, radix)
    if not number or number > 2 ^ 63 then return nil end
    if number == 2 ^ 63 and radix == 10 and digits > "9223372036854775807" then return nil end
    return sign == "-" and -number or number
  end

  function base.tonumber(...)
    if select("#", ...) == 0 then bad(1, "tonumber", "value", nil) end
    local value, radix = ...
    if type(value) == "number" then return value end
    if type(value) ~= "string" then return nil end
    if radix ~= nil and (radix < 2 or radix > 36) then return nil end
    return read_number(value, radix)
  end

  function base.next(t, key)
    return values.next_key(table_(t, 1, "next"), key)
  end

  function base.pairs(t)
    return base.next, table_(t, 1, "pairs"), nil
  end

  function base.rawset(t, key, value)
    values.assign_raw(table_(t, 1, "rawset"), key, value)
  end

  function base.unpack(t, from, to)
    table_(t, 1, "unpack")
    return native.unpack(t, int(from, 2, "unpack", 1), to == nil and size(t) or int(to, 3, "unpack"))
  end

  function base.setmetatable(t, meta)
    if meta ~= nil then table_(meta, 2, "setmetatable") end
    if type(t) ~= "table" and t ~= nil then return t end -- those of other types are not offered
    return setmetatable(table_(t, 1, "setmetatable"), meta)
  end

  base.getmetatable = native.getmetatable

  function base.print() end
  function base.collectgarbage() end

  local function denied(name)
    return function()
      fail(name .. " is not available to programs in manifests")
    end
  end

  local function offered_environment(found)
    return found == program_environment.env or program_environment.own[found]
  end

  function base.getfenv(which)
    if which == nil then which = 1 end
    if which == 0 then return program_environment.env end
    local found = native.getfenv(type(which) == "number" and which + 1 or which)
    return offered_environment(found) and found or program_environment.env
  end

  function base.setfenv(which, env)
    table_(env, 2, "setfenv")
    if type(which) == "number" then which = which + 1 end
    if which == 1 or not offered_environment(native.getfenv(which)) then
      fail("this environment cannot be changed")
    end
    program_environment.own[env] = true
    local changed = native.setfenv(which, env) -- no tail call: levels count
    return changed
  end

  local ours = {}

  -- Compiles what the translator made; nil and a message where it is no program.
  local function compile(code)
    local chunk, problem = native.loadstring(code, "=<string>")
    if not chunk then return nil, problem end
    return chunk(native.unpack(ours, 1, 6))
  end

  local HEX = {}
  for n = 0, 255 do HEX[char(n)] = format("%02x", n) end

  local SPARE = 2 ^ 20

  function base.loadstring(source)
    source = text(source, 1, "loadstring")
    -- outside of Lua nothing may lack memory: that would end the process
    if native.used("count") * 1024 + SPARE + #source * 20 > most_bytes then
      kill("it used too much memory")
    end
    local ok, answer = native.pcall(translate, (native.gsub(source, ".", HEX)))
    if not ok or type(answer) ~= "string" then return nil, "the program cannot be read" end
    if sub(answer, 1, 1) ~= "+" then return nil, sub(answer, 2) end
    local f, problem = compile(sub(answer, 2))
    if not f then return nil, problem end
    return native.setfenv(f, program_environment.env)
  end

  function base.load(reader)
    if type(reader) ~= "function" then bad(1, "load", "function", reader) end
    local parts = {}
    while true do
      local part = reader()
      if part == nil or part == "" then break end
      parts[#parts + 1] = text(part, 1, "load")
    end
    return base.loadstring(table.concat(parts))
  end

  -- ----------------------------------------------------------------------- texts

  local string_ = { gfind = false, dump = denied("string.dump") }

  function string_.byte(s, from, to)
    from = int(from, 2, "byte", 1)
    return byte(text(s, 1, "byte"), from, int(to, 3, "byte", from))
  end

  function string_.char(...)
    local given = { ... }
    for n = 1, select("#", ...) do given[n] = int(given[n], n, "char") % 256 end
    return char(native.unpack(given))
  end

  function string_.sub(s, from, to)
    return sub(text(s, 1, "sub"), int(from, 2, "sub"), int(to, 3, "sub", -1))
  end

  function string_.len(s) return #text(s, 1, "len") end
  function string_.reverse(s) return string.reverse(text(s, 1, "reverse")) end

  function string_.rep(s, n)
    s, n = text(s, 1, "rep"), int(n, 2, "rep")
    if #s * n >= 2 ^ 31 then kill("it used too much memory") end
    return native.rep(s, n)
  end

  local function cased(ascii, letters)
    return function(s)
      s = text(s, 1, "upper or lower")
      if not find(s, "[\128-\255]") then return ascii(s) end
      return (native.gsub(ascii(s), "[\128-\255][\128-\191]*", function(rune)
        local lead = byte(rune)
        local wanted = lead >= 240 and 4 or lead >= 224 and 3 or lead >= 194 and 2 or 1
        if wanted == 1 or lead > 244 or #rune < wanted then
          return native.rep("\239\191\189", #rune)
        end
        local whole = sub(rune, 1, wanted)
        return (letters[whole] or whole) .. native.rep("\239\191\189", #rune - wanted)
      end))
    end
  end

  string_.upper, string_.lower = cased(string.upper, upper_of), cased(string.lower, lower_of)

  function string_.find(s, pattern, from, plain)
    s, pattern = text(s, 1, "find"), text(pattern, 2, "find")
    return patterns.find(s, pattern, int(from, 3, "find", 1), plain)
  end

  function string_.match(s, pattern, from)
    return patterns.match(text(s, 1, "match"), text(pattern, 2, "match"), int(from, 3, "match", 1))
  end

  function string_.gmatch(s, pattern)
    return patterns.gmatch(text(s, 1, "gmatch"), text(pattern, 2, "gmatch"))
  end

  string_.gfind = string_.gmatch

  local function spelled(value)
    if value == nil or value == false or type(value) == "string" then return value end
    if type(value) == "number" then return number_text(value) end
    error("invalid replacement value (a " .. type(value) .. ")", 0)
  end

  function string_.gsub(s, pattern, with, most)
    s, pattern = text(s, 1, "gsub"), text(pattern, 2, "gsub")
    local kind = type(with)
    if kind ~= "string" and kind ~= "table" and kind ~= "function" then
      bad(3, "gsub", "string or table or function", with)
    end
    most = int(most, 4, "gsub", -1)
    return patterns.substitute(s, pattern, with, most < 0 and math.huge or most, spelled)
  end

  function string_.format(pattern, ...)
    return sprintf(text(pattern, 1, "format"), ...)
  end

  -- ----------------------------------------------------------------------- tables

  local table_lib = {}

  function table_lib.getn(t) return size(table_(t, 1, "getn")) end
  table_lib.maxn = table_lib.getn

  function table_lib.concat(t, separator, from, to)
    table_(t, 1, "concat")
    separator = separator == nil and "" or text(separator, 2, "concat")
    from, to = int(from, 3, "concat", 1), to == nil and size(t) or int(to, 4, "concat")
    local parts = {}
    for index = from, to do
      local value = rawget(t, index)
      if type(value) == "number" then value = number_text(value) end
      if type(value) ~= "string" then
        fail("invalid value (" .. type(value) .. ") at index " .. index .. " in table for concat")
      end
      parts[index - from + 1] = value
    end
    return table.concat(parts, separator)
  end

  function table_lib.insert(t, ...)
    table_(t, 1, "insert")
    local count = select("#", ...)
    if count == 0 then fail("wrong number of arguments") end
    if count == 1 then
      rawset(t, size(t) + 1, (...))
      return
    end
    local at, value = ...
    at = int(at, 2, "insert")
    local highest = size(t)
    if at < 1 then return end
    for index = highest, at, -1 do rawset(t, index + 1, rawget(t, index)) end
    rawset(t, at, value)
  end

  function table_lib.remove(t, at)
    local highest = size(table_(t, 1, "remove"))
    at = int(at, 2, "remove", highest)
    if highest == 0 or at < 1 or at > highest then return nil end
    local value = rawget(t, at)
    for index = at, highest do rawset(t, index, rawget(t, index + 1)) end
    return value
  end

  local function insertion_sort(t, from, to, less)
    for i = from + 1, to do
      local j = i
      while j > from and less(t[j], t[j - 1]) do
        t[j], t[j - 1] = t[j - 1], t[j]
        j = j - 1
      end
    end
  end

  local function merge_sort(t, from, to, less)
    if to - from < 12 then return insertion_sort(t, from, to, less) end
    local middle = floor((from + to) / 2)
    merge_sort(t, from, middle, less)
    merge_sort(t, middle + 1, to, less)
    local left, right, out = from, middle + 1, {}
    while left <= middle and right <= to do
      if less(t[right], t[left]) then
        out[#out + 1], right = t[right], right + 1
      else
        out[#out + 1], left = t[left], left + 1
      end
    end
    while left <= middle do out[#out + 1], left = t[left], left + 1 end
    for n = 1, #out do t[from + n - 1] = out[n] end
  end

  function table_lib.sort(t, less)
    table_(t, 1, "sort")
    merge_sort(t, 1, size(t), less or function(a, b) return a < b end)
  end

  -- ----------------------------------------------------------------------- the rest

  local math_ = {}
  local TWO = { atan2 = 2, fmod = 2, ldexp = 2, pow = 2 }

  for name, f in next, math do -- some of LuaJIT's would take what an earlier call left behind
    local least = TWO[name] or 1
    math_[name] = f
    if type(f) == "function" then
      math_[name] = function(...)
        local count = select("#", ...)
        if count < least then bad(count + 1, name, "number", nil) end
        return f(...)
      end
    end
  end
  math_.mod = math_.fmod
  math_.huge = 1.7976931348623157e308
  function math_.random(from, to)
    if from == nil then return native.random() end
    from = int(from, 1, "random")
    if to == nil then from, to = 1, from else to = int(to, 2, "random") end
    if to < from then fail("bad argument to random (interval is empty)") end
    return native.random(from, to)
  end
  math_.randomseed = function(n) native.seed(int(n, 1, "randomseed")) end

  local os_ = { clock = native.clock, difftime = os.difftime }

  function os_.time(t)
    if t == nil then return native.time() end
    table_(t, 1, "time")
    return native.time({
      year = t.year or 1970, month = t.month or 1, day = t.day or 1, hour = t.hour or 12,
      min = t.min or 0, sec = t.sec or 0, isdst = t.isdst,
    })
  end

  local DATES = {
    c = "%d %b %y %H:%M", x = "%d/%m/%y", X = "%H:%M:%S", a = "%a", A = "%A", b = "%b", B = "%B",
    d = "%d", F = "%Y-%m-%d", H = "%H", I = "%I", m = "%m", M = "%M", p = "%p", S = "%S", w = "%w",
    y = "%y", Y = "%Y", z = "%z", Z = "%Z",
  }

  function os_.date(pattern, at)
    pattern = pattern == nil and "%Y-%m-%d %H:%M:%S" or text(pattern, 1, "date")
    at = at == nil and native.time() or int(at, 2, "date")
    local utc = sub(pattern, 1, 1) == "!" and "!" or ""
    pattern = sub(pattern, #utc + 1)
    if sub(pattern, 1, 2) == "*t" then
      local t = native.date(utc .. "*t", at)
      t.isdst, t.yday = false, 0
      return t
    end
    return (native.gsub(pattern, "%%(.)", function(verb)
      if verb == "%" then return "%" end
      local zone = utc == "!" and "UTC" or native.date("%Z", at)
      if verb == "Z" then return zone end
      if verb == "c" then return native.date(utc .. DATES.c, at) .. " " .. zone end
      return DATES[verb] and native.date(utc .. DATES[verb], at)
    end))
  end

  local DEEPEST = 100 -- coroutines within coroutines: each takes a piece of the C stack
  local depth = 0

  local function resumed(...)
    depth = depth - 1
    return passed(...)
  end

  local function resume(co, ...)
    if depth >= DEEPEST then fail("coroutines are nested too deeply") end
    depth = depth + 1
    return resumed(native.resume(co, ...))
  end

  local coroutine_ = {
    create = native.create, resume = resume, running = coroutine.running,
    status = coroutine.status, yield = coroutine.yield,
  }

  function coroutine_.wrap(f)
    local co = native.create(f)
    local function unwrap(ok, ...)
      if not ok then error((...), 0) end
      return ...
    end
    return function(...) return unwrap(resume(co, ...)) end
  end

  local libraries = {
    string = string_, table = table_lib, math = math_, os = os_, coroutine = coroutine_,
    io = { stdin = {}, stdout = {}, stderr = {} }, debug = {}, channel = {},
    package = { path = "", cpath = "", config = "", loaded = {}, preload = {}, loaders = {} },
  }

  function libraries.debug.traceback(message) return message or "" end

  local function deny(refused)
    for library, names in next, refused do
      for name in string.gmatch(names, "%S+") do
        if library == "base" then
          base[name] = denied(name)
        else
          libraries[library][name] = denied(library .. "." .. name)
        end
      end
    end
  end

  -- ----------------------------------------------------------------------- environments

  local TEXTS = { __index = string_ }
  native.setmetatable("", TEXTS)
  local texts_changed = false

  local function copied(t)
    local new = {}
    for key, value in next, t do
      if type(value) == "table" then value = copied(value) end
      new[key] = value
    end
    return new
  end

  local function add_texts(env)
    local library = copied(string_)
    library.__index = library
    env.string = library
    native.setmetatable("", library)
    texts_changed = true
  end

  -- Names that a program needs, as a list; nil: it may use all.
  local function environment(names, env)
    if texts_changed then
      native.setmetatable("", TEXTS)
      texts_changed = false
    end
    if not names then
      for name, value in next, base do env[name] = value end
      for name, library in next, libraries do env[name] = copied(library) end
      add_texts(env)
      env._G = env
      return env
    end
    for n = 1, #names do
      local name = names[n]
      local library = libraries[name]
      if name == "string" or name == "getmetatable" then add_texts(env) end
      if name == "getmetatable" then
        env[name] = base[name]
      elseif library and name ~= "string" then
        env[name] = copied(library)
      elseif base[name] ~= nil then
        env[name] = base[name]
      end
    end
    return env
  end

  -- What a check may load: of `os`, the time alone.
  local function required(name)
    if name == "os" then return { time = os_.time, date = os_.date } end
    if name == "table" then return copied(table_lib) end
    fail("module " .. tostring(name) .. " is not available to programs in manifests")
  end

  -- For a check that is given no more than the base library and `table`: texts have no methods.
  local function small_environment(names, env)
    native.setmetatable("", nil)
    texts_changed = true
    if not names then
      for name, value in next, base do env[name] = value end
      env.table, env._G = copied(table_lib), env
      return env
    end
    for n = 1, #names do
      local name = names[n]
      if name == "table" then
        env.table = copied(table_lib)
      elseif base[name] ~= nil then
        env[name] = base[name]
      end
    end
    return env
  end

  -- ----------------------------------------------------------------------- runs

  local function last(...)
    local count = select("#", ...)
    if count == 0 then return nil end
    return (select(count, ...))
  end

  local function transformed(program, most)
    local value = last(program())
    if type(value) ~= "table" then
      error("it returned " .. (value == nil and "nothing" or "a " .. type(value)) .. ", not a table", 0)
    end
    return values.to_json(value, most)
  end

  -- What a check says: JSON, or nothing.
  local function checked(program, most)
    local value = last(program())
    if value == nil then return "" end
    if type(value) ~= "table" then error("it returned a " .. type(value) .. ", not a table", 0) end
    return values.to_json(value, most)
  end

  local function tested(program)
    return last(program()) == true
  end

  local printable

  -- What a run came to: JSON or a boolean, else "!" and the reason why it was ended, or "?" and
  -- the error that it ended with.
  local function finished(ok, result)
    native.sethook()
    values.forget()
    program_environment = nil
    if killed or (not ok and final(result)) then return "!" .. killed end
    if ok then
      printable = result
      return result
    end
    if type(result) ~= "string" then result = "error object is a " .. type(result) end
    printable = "?" .. sub(result, 1, 500)
    return printable
  end

  local function begin(program, env, limit, seconds, bytes)
    program_environment = { env = env, own = {} }
    native.setfenv(program, env)
    killed, steps, most_steps, most_bytes, depth = nil, 0, limit, bytes, 0
    if limit > 0 then
      deadline = native.clock() + seconds
      native.sethook(tick, "", STEP)
    end
  end

  local function run(program, names, event, most, limit, seconds, bytes, seed)
    local env = environment(names, { event = event })
    if seed then native.seed(seed) end
    begin(program, env, limit, seconds, bytes)
    if most > 0 then return finished(native.pcall(transformed, program, most)) end
    return finished(native.pcall(tested, program))
  end

  local function check(program, names, object, most, limit, seconds, bytes, all)
    local offered = all and environment or small_environment
    local env = offered(names, { obj = object, actionParams = {} })
    env.require = required
    begin(program, env, limit, seconds, bytes)
    return finished(native.pcall(checked, program, most))
  end

  ours[1] = values.joinable
  ours[2] = values.modulo
  ours[3] = values.length
  ours[4] = values.with_keys
  ours[5] = values.assign
  ours[6] = function(...)
    local arg = { ... }
    arg.n = select("#", ...)
    return arg
  end

  return {
    compile = compile,
    run = run,
    check = check,
    deny = deny,
    names = function(text_)
      local list = {}
      for name in string.gmatch(text_, "%S+") do list[#list + 1] = name end
      return list
    end,
    letters = function(upper, lower)
      for from, to in string.gmatch(upper, "(%S+) (%S+)\n") do upper_of[from] = to end
      for from, to in string.gmatch(lower, "(%S+) (%S+)\n") do lower_of[from] = to end
    end,
    -- The last result with every byte in hexadecimal, for texts that are no UTF-8.
    hexed = function() return (native.gsub(printable, ".", HEX)) end,
  }
end
