-- Values as gopher-lua has them: numbers as texts, tables with holes and an order, JSON.

local format, byte, char, find, sub = string.format, string.byte, string.char, string.find, string.sub
local gsub, rep, concat, native_maxn = string.gsub, string.rep, table.concat, table.maxn
local type, tonumber, next, error = type, tonumber, next, error
local rawget, rawset, select, floor, fmod = rawget, rawset, select, math.floor, math.fmod
local metatable_of = debug.getmetatable

local MOST_ITEMS = 2 ^ 26 -- indices from here on are keys like any other
local EXACT = 16384 -- above, `#` looks no further than the first hole: that would take too long

-- ------------------------------------------------------------------------- numbers

-- The shortest decimal that is the number; with an exponent below 1e-4 and from 1e6, as Go's %v.
local function float_text(n)
  if n ~= n then return "NaN" end
  if n == 1 / 0 then return "+Inf" end
  if n == -1 / 0 then return "-Inf" end
  if n == 0 then return 1 / n < 0 and "-0" or "0" end
  local first = (n < 1e-300 and n > -1e-300) and 1 or 15
  local digits = first
  while digits < 17 and tonumber(format("%." .. digits .. "g", n)) ~= n do digits = digits + 1 end
  local text = format("%." .. digits - 1 .. "e", n)
  local mantissa, exponent = string.match(text, "^(.-)e(.*)$")
  local power = tonumber(exponent)
  if power >= -4 and power < 6 then return format("%." .. digits .. "g", n) end
  if find(mantissa, ".", 1, true) then mantissa = gsub(gsub(mantissa, "0+$", ""), "%.$", "") end
  return mantissa .. "e" .. exponent
end

-- A number as `tostring` and `..` spell it.
local function number_text(n)
  if n == floor(n) and n >= -2 ^ 63 and n < 2 ^ 63 then
    return n == 0 and "0" or format("%.0f", n)
  end
  return float_text(n)
end

local function joinable(value)
  if type(value) == "number" then return number_text(value) end
  return value
end

local function modulo(a, b)
  if type(a) == "number" and type(b) == "number" then
    local rest = fmod(a, b)
    if (b > 0 and rest < 0) or (b < 0 and rest > 0) then rest = rest + b end
    return rest
  end
  local na, nb = tonumber(a), tonumber(b)
  if na and nb then return modulo(na, nb) end
  return a % b
end

-- ------------------------------------------------------------------------- tables

local function is_index(key)
  return type(key) == "number" and key >= 1 and key < MOST_ITEMS and key == floor(key)
end

-- The highest index that holds something.
local function size(t)
  local border = #t
  if border >= EXACT then return border end
  local highest = native_maxn(t)
  if highest == floor(highest) and highest < MOST_ITEMS then return highest end
  highest = 0
  for key in next, t do
    if is_index(key) and key > highest then highest = key end
  end
  return highest
end

local function length(value)
  if type(value) ~= "table" then return #value end
  local meta = metatable_of(value)
  local own = meta and rawget(meta, "__len")
  if own then return (own(value)) end
  return size(value)
end

-- Keys that are no indices, in the order in which they came; reset for every run.
local orders = {}

local function sorts_before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta < tb end
  if ta == "number" or ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function order_of(t)
  local order = orders[t]
  if not order then
    order = { n = 0, at = {} }
    local keys = {}
    for key in next, t do
      if not is_index(key) then keys[#keys + 1] = key end
    end
    table.sort(keys, sorts_before)
    for n = 1, #keys do
      order[n], order.at[keys[n]] = keys[n], n
    end
    order.n = #keys
    orders[t] = order
  end
  return order
end

local function remember(order, key)
  if not order.at[key] then
    local n = order.n + 1
    order.n, order[n], order.at[key] = n, key, n
  end
end

local function assign(t, key, value)
  if type(t) ~= "table" or value == nil or is_index(key) then
    t[key] = value
    return
  end
  local order = order_of(t)
  t[key] = value
  if rawget(t, key) ~= nil then remember(order, key) end
end

local function assign_raw(t, key, value)
  if value == nil or is_index(key) then
    rawset(t, key, value)
    return
  end
  local order = order_of(t)
  rawset(t, key, value)
  remember(order, key)
end

-- Adds the fields of a constructor that have keys.
local function with_keys(t, ...)
  local given, listed = { ... }, size(t)
  for n = 1, select("#", ...), 2 do
    if not is_index(given[n]) then
      assign(t, given[n], given[n + 1])
    elseif given[n] > listed then
      t[given[n]] = given[n + 1]
    end
  end
  return t
end

local function next_key(t, key)
  local at = 1
  if key == nil or is_index(key) then
    local from = (key or 0) + 1
    local value = rawget(t, from)
    if value ~= nil then return from, value end
    for index = from + 1, size(t) do
      value = rawget(t, index)
      if value ~= nil then return index, value end
    end
  else
    at = (order_of(t).at[key] or math.huge) + 1
  end
  local order = order_of(t)
  for n = at, order.n do
    local value = rawget(t, order[n])
    if value ~= nil then return order[n], value end
  end
  return nil
end

-- ------------------------------------------------------------------------- JSON

local ESCAPES = {}
for n = 0, 31 do ESCAPES[char(n)] = format("\\u%04x", n) end
ESCAPES["\127"], ESCAPES['"'], ESCAPES["\\"] = "\\u007f", '\\"', "\\\\"

local function quoted(text)
  if find(text, '[%c"\\]') then text = gsub(text, '[%c"\\]', ESCAPES) end
  return '"' .. text .. '"'
end

local DEEPEST = 150
local TOO_MUCH = {} -- an error: what is returned is longer than it may be
local parts, count, room

local function put(text)
  room = room - #text
  if room < 0 then error(TOO_MUCH, 0) end
  count = count + 1
  parts[count] = text
end

local function key_text(key)
  local kind = type(key)
  if kind == "string" then return key end
  if kind == "number" then return float_text(key) end
  if kind == "boolean" then return tostring(key) end
  error("a " .. kind .. " cannot be a key of what is returned", 0)
end

local write

local function write_table(t, depth)
  if depth > DEEPEST then error("what is returned is nested too deeply", 0) end
  local highest = size(t)
  if highest > 0 then
    if highest * 2 > room then error(TOO_MUCH, 0) end
    for index = 1, highest do
      put(index == 1 and "[" or ",")
      write(rawget(t, index), depth)
    end
    return put("]")
  end
  local meta = metatable_of(t)
  if meta and rawget(meta, "__is_array") == true then return put("[]") end
  local first = true
  for key, value in next, t do
    put(first and "{" or ",")
    first = false
    put(quoted(key_text(key)))
    put(":")
    write(value, depth)
  end
  put(first and "{}" or "}")
end

function write(value, depth)
  local kind = type(value)
  if kind == "string" then
    put(quoted(value))
  elseif kind == "number" then
    if value ~= value or value == 1 / 0 or value == -1 / 0 then
      error("unsupported value: " .. float_text(value), 0)
    end
    if value == floor(value) and value < 2 ^ 53 and value > -2 ^ 53 then
      put(value == 0 and 1 / value < 0 and "-0.0" or format("%.0f", value))
    else
      put(format("%.17g", value))
    end
  elseif kind == "table" then
    write_table(value, depth + 1)
  elseif kind == "boolean" or kind == "nil" then
    put(kind == "nil" and "null" or tostring(value))
  else
    error("unsupported value: a " .. kind .. " cannot be part of what is returned", 0)
  end
end

local function to_json(t, most)
  parts, count, room = {}, 0, most
  write(t, 0)
  return concat(parts)
end

return {
  float_text = float_text, number_text = number_text, joinable = joinable, modulo = modulo,
  size = size, length = length, assign = assign, assign_raw = assign_raw, with_keys = with_keys,
  TOO_MUCH = TOO_MUCH, next_key = next_key, is_index = is_index, to_json = to_json,
  forget = function() orders, parts = {}, nil end,
}
