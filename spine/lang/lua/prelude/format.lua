-- string.format as gopher-lua has it: the verbs of Go.

local format, byte, char, find, sub, rep = string.format, string.byte, string.char, string.find,
  string.sub, string.rep
local gsub, match, concat = string.gsub, string.match, table.concat
local floor, type, tostring, tonumber, error = math.floor, type, tostring, tonumber, error

local WIDEST = 10000

return function(values)
  local number_text, float_text = values.number_text, values.float_text

  local function runes(text)
    local _, count = gsub(text, "[^\128-\191]", "")
    return count
  end

  local function padded(text, flags, width)
    local missing = (width or 0) - runes(text)
    if missing <= 0 then return text end
    if find(flags, "-", 1, true) then return text .. rep(" ", missing) end
    if not find(flags, "0", 1, true) then return rep(" ", missing) .. text end
    local sign, rest = match(text, "^([+-]?)(.*)$")
    return sign .. rep("0", missing) .. rest
  end

  local function cut(text, most)
    if not most then return text end
    local at = 1
    for _ = 1, most do
      if at > #text then return text end
      at = at + 1
      while find(sub(text, at, at), "^[\128-\191]") do at = at + 1 end
    end
    return sub(text, 1, at - 1)
  end

  local NAMED = {
    ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t", ["\v"] = "\\v", ["\\"] = "\\\\", ['"'] = '\\"',
  }

  local function quoted_rune(rune)
    if #rune == 1 then return format("\\x%02x", byte(rune)) end
    local a, b, c = byte(rune, 1, 3)
    local code = #rune == 2 and (a - 192) * 64 + b - 128
      or #rune == 3 and (a - 224) * 4096 + (b - 128) * 64 + c - 128
      or 65536
    if code < 161 or code == 173 or (code >= 8192 and code <= 8207) or (code >= 8232 and code <= 8239)
      or code == 12288 or code == 65279 then
      return format("\\u%04x", code)
    end
    return rune
  end

  local function quoted(text)
    text = gsub(text, '[%c"\\]', function(c) return NAMED[c] or format("\\x%02x", byte(c)) end)
    return '"' .. gsub(text, "[\128-\255][\128-\191]*", quoted_rune) .. '"'
  end

  -- A whole number in 64 bits, as Go converts: what does not fit is the lowest.
  local function whole(n)
    if n ~= n or n >= 2 ^ 63 or n < -2 ^ 63 then return -2 ^ 63 end
    return (n < 0 and -floor(-n) or floor(n)) + 0
  end

  local BASES = { b = 2, o = 8, x = 16, X = 16 }

  local function digits(n, base)
    if base == 10 then return format("%.0f", n) end
    local out = ""
    while n > 0 do
      local digit = n % base
      out, n = sub("0123456789abcdef", digit + 1, digit + 1) .. out, floor(n / base)
    end
    return out
  end

  local function signed(text, negative, flags)
    if negative then return "-" .. text end
    if find(flags, "+", 1, true) then return "+" .. text end
    if find(flags, " ", 1, true) then return " " .. text end
    return text
  end

  local function integer(n, verb, flags, width, precision)
    n = whole(n)
    if n == 0 and precision == 0 then return rep(" ", width or 0) end
    local negative = n < 0
    if negative then n = -n end
    local text = n == 0 and "0" or digits(n, BASES[verb] or 10)
    if verb == "X" then text = string.upper(text) end
    if precision and #text < precision then text = rep("0", precision - #text) .. text end
    if find(flags, "#", 1, true) then
      text = (({ x = "0x", X = "0X", o = "0", b = "0b" })[verb] or "") .. text
    end
    if precision then flags = gsub(flags, "0", "") end
    return padded(signed(text, negative, flags), flags, width)
  end

  local function utf8(code)
    if code < 0 or code > 1114111 or (code >= 55296 and code <= 57343) then code = 65533 end
    if code < 128 then return char(code) end
    local tail = ""
    local first, limit = 192, 32
    repeat
      tail = char(128 + code % 64) .. tail
      code = floor(code / 64)
      if code >= limit then first, limit = first + limit, limit / 2 end
    until code < limit
    return char(first + code) .. tail
  end

  local function floating(n, verb, flags, width, precision)
    local negative = n < 0 or (n == 0 and 1 / n < 0)
    local text
    if n ~= n then
      text, flags = "NaN", gsub(flags, "0", "")
    elseif n == 1 / 0 or n == -1 / 0 then
      text, flags = "Inf", gsub(flags, "0", "")
      if not negative then text = "+" .. text end
      flags = gsub(flags, "%+", "")
    elseif precision or (verb ~= "g" and verb ~= "G") then
      if verb == "F" then verb = "f" end
      text = format("%." .. math.min(precision or 6, 99) .. verb, negative and -n or n)
    else
      text = float_text(negative and -n or n)
      if verb == "G" then text = string.upper(text) end
    end
    return padded(signed(text, negative, flags), flags, width)
  end

  local INTEGERS = { b = true, d = true, i = true, o = true, x = true, X = true }
  local FLOATS = { e = true, E = true, f = true, F = true, g = true, G = true }

  local function unknown(verb, kind, shown)
    return "%!" .. verb .. "(" .. kind .. "=" .. shown .. ")"
  end

  local function of_text(text, verb, flags, width, precision)
    if verb == "d" or verb == "i" then
      if not tonumber(text) then return integer(0, "d", flags, width, precision) end
      verb = "s"
    end
    if verb == "q" then
      text = cut(text, precision)
      local raw = find(flags, "#", 1, true) and not find(text, "[%c`\128-\255]")
      return padded(raw and "`" .. text .. "`" or quoted(text), flags, width)
    end
    if verb == "s" or verb == "v" then return padded(cut(text, precision), flags, width) end
    if verb == "x" or verb == "X" then
      local space = find(flags, " ", 1, true) and " " or ""
      local hexed = gsub(sub(text, 1, precision or -1), ".", function(c)
        return format("%02" .. verb, byte(c)) .. space
      end)
      if space ~= "" then hexed = sub(hexed, 1, -2) end
      if find(flags, "#", 1, true) and hexed ~= "" then hexed = "0" .. verb .. hexed end
      return padded(hexed, flags, width)
    end
    return unknown(verb, "string", padded(cut(text, precision), flags, width))
  end

  local function of_number(n, verb, flags, width, precision)
    if verb == "s" or verb == "q" then
      return of_text(number_text(n), verb, flags, width, precision)
    end
    if INTEGERS[verb] then return integer(n, verb, flags, width, precision) end
    if FLOATS[verb] then return floating(n, verb, flags, width, precision) end
    if verb == "c" then return padded(utf8(whole(n)), flags, width) end
    if verb == "U" then return padded(format("U+%04X", whole(n)), flags, width) end
    local is_whole = n == floor(n) and n >= -2 ^ 63 and n < 2 ^ 63
    if verb == "v" then
      if is_whole then return integer(n, "d", flags, width, precision) end
      return floating(n, "g", flags, width, precision)
    end
    if is_whole then return unknown(verb, "int64", integer(n, "d", flags, width, precision)) end
    return unknown(verb, "float64", floating(n, "g", flags, width, precision))
  end

  local SHOWN = { s = true, v = true, q = true, x = true, X = true }

  local function of_other(value, verb, flags, width, precision)
    local kind = type(value)
    if SHOWN[verb] then return of_text(tostring(value), verb, flags, width, precision) end
    if kind ~= "boolean" then error("bad argument to format (a " .. kind .. " as %" .. verb .. ")", 3) end
    local text = padded(tostring(value), flags, width)
    return verb == "t" and text or unknown(verb, "lua.LBool", text)
  end

  local function one(value, verb, flags, width, precision)
    local kind = type(value)
    if kind == "string" then return of_text(value, verb, flags, width, precision) end
    if kind == "number" then return of_number(value, verb, flags, width, precision) end
    return of_other(value, verb, flags, width, precision)
  end

  local KINDS = { number = "lua.LNumber", string = "lua.LString", boolean = "lua.LBool" }

  -- What was given and not asked for.
  local function extra(given, from, to)
    local out = {}
    for n = from, to do
      local value = given[n]
      out[#out + 1] = (KINDS[type(value)] or "lua") .. "=" .. one(value, "v", "")
    end
    return "%!(EXTRA " .. concat(out, ", ") .. ")"
  end

  return function(pattern, ...)
    local _, marks = gsub(pattern, "%%", "")
    local _, doubled = gsub(pattern, "%%%%", "")
    local count, at, out, used = math.min(select("#", ...), marks - doubled), 1, {}, 0
    local given = { ... }
    while true do
      local mark = find(pattern, "%", at, true)
      if not mark then break end
      out[#out + 1] = sub(pattern, at, mark - 1)
      local flags, width, dot, precision, verb, stop = match(
        pattern, "^([-+# 0]*)(%d*)(%.?)(%d*)([^\128-\191]?[\128-\191]*)()", mark + 1)
      if verb == "*" or verb == "[" then
        error("bad argument to format (%" .. verb .. " is not supported)", 2)
      end
      width, precision = tonumber(width), dot ~= "" and (tonumber(precision) or 0) or nil
      if (width or 0) > WIDEST or (precision or 0) > WIDEST then
        error("bad argument to format (a width above " .. WIDEST .. ")", 2)
      end
      at = stop
      if verb == "" then
        out[#out + 1] = "%!(NOVERB)"
      elseif verb == "%" then
        out[#out + 1] = "%"
      elseif used >= count then
        out[#out + 1] = "%!" .. verb .. "(MISSING)"
      else
        used = used + 1
        out[#out + 1] = one(given[used], verb, flags, width, precision)
      end
    end
    out[#out + 1] = sub(pattern, at)
    if used < count then out[#out + 1] = extra(given, used + 1, count) end
    return concat(out)
  end
end
