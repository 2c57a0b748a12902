-- Patterns: LuaJIT's own matcher where it is quick, one that can be interrupted where it may not be.

local byte, char, find, sub, match = string.byte, string.char, string.find, string.sub, string.match
local gsub, gmatch = string.gsub, string.gmatch
local error, type, select, floor, max, min = error, type, select, math.floor, math.max, math.min

-- Steps of the worst case up to which LuaJIT's matcher is let loose. Where a pattern has at most
-- one repetition, the worst case is rare and the steps are short.
local QUICK, QUICK_LINEAR = 1e7, 1e8
local REMEMBERED = 500

-- ------------------------------------------------------------------------- what a pattern costs

local known, known_count = {}, 0

-- The end of the item at `at`: one character, a class or a set.
local function item_end(pattern, at)
  local c = sub(pattern, at, at)
  if c == "%" then
    if at == #pattern then error("malformed pattern (ends with '%')", 0) end
    return at + 2
  end
  if c ~= "[" then return at + 1 end
  at = at + 1
  if sub(pattern, at, at) == "^" then at = at + 1 end
  repeat
    if at > #pattern then error("malformed pattern (missing ']')", 0) end
    at = at + (sub(pattern, at, at) == "%" and 2 or 1)
  until sub(pattern, at, at) == "]"
  return at + 1
end

-- Returns the pattern as LuaJIT is to see it, the power and the factor of its cost.
local function study(pattern)
  local found = known[pattern]
  if found then return found end
  local text = gsub(pattern, "%%(.)", function(c) -- gopher-lua has no %f and no %g
    if c == "f" or c == "g" then return c end
  end)
  local at, power, factor = 1, 0, #text + 1
  if sub(text, 1, 1) == "^" then at = 2 else power = 1 end
  while at <= #text do
    local c = sub(text, at, at)
    if c == "(" or c == ")" then
      at = at + 1
    elseif c == "%" and sub(text, at + 1, at + 1) == "b" then
      power, at = power + 1, at + 4
    else
      at = item_end(text, at)
      local mark = sub(text, at, at)
      if mark == "*" or mark == "+" or mark == "-" then
        power, at = power + 1, at + 1
      elseif mark == "?" then
        factor, at = factor * 2, at + 1
      end
    end
  end
  if known_count >= REMEMBERED then known, known_count = {}, 0 end
  found = { text = text, power = power, factor = factor }
  known[pattern], known_count = found, known_count + 1
  return found
end

local function is_quick(studied, size)
  local steps = studied.factor * size ^ studied.power
  return steps <= (studied.power <= 1 and QUICK_LINEAR or QUICK)
end

-- ------------------------------------------------------------------------- a matcher in Lua

local CAPTURES, DEEPEST = 32, 5000

local function in_class(c, class)
  return find(c, "%" .. class) ~= nil
end

local function in_set(c, set)
  return find(c, set) ~= nil
end

local matching

-- Whether the character at `at` is what the item says.
local function single(state, at, pattern, from, stop)
  if at > state.size then return false end
  local c = sub(state.text, at, at)
  local p = sub(pattern, from, from)
  if p == "." then return true end
  if p == "%" then return in_class(c, sub(pattern, from + 1, from + 1)) end
  if p == "[" then return in_set(c, sub(pattern, from, stop - 1)) end
  return p == c
end

local function balanced(state, at, opening, closing)
  local text = state.text
  if sub(text, at, at) ~= opening then return nil end
  local depth = 1
  for n = at + 1, state.size do
    local c = sub(text, n, n)
    if c == closing then
      depth = depth - 1
      if depth == 0 then return n + 1 end
    elseif c == opening then
      depth = depth + 1
    end
  end
  return nil
end

local function captured(state, n)
  local from, stop = state[n * 2 - 1], state[n * 2]
  if stop == "at" then return from end
  return sub(state.text, from, stop - 1)
end

local function open_capture(state, at, pattern, from, what)
  local level = state.level + 1
  if level > CAPTURES then error("too many captures", 0) end
  state.level, state[level * 2 - 1], state[level * 2] = level, at, what
  local stop = matching(state, at, pattern, from)
  if not stop then state.level = level - 1 end
  return stop
end

local function close_capture(state, at, pattern, from)
  for level = state.level, 1, -1 do
    if state[level * 2] == "open" then
      state[level * 2] = at
      local stop = matching(state, at, pattern, from)
      if not stop then state[level * 2] = "open" end
      return stop
    end
  end
  error("invalid pattern capture", 0)
end

local function repeated(state, at, pattern, from, stop, least)
  local most = at
  while single(state, most, pattern, from, stop) do most = most + 1 end
  for n = most, at + least, -1 do
    local found = matching(state, n, pattern, stop + 1)
    if found then return found end
  end
  return nil
end

local function reluctant(state, at, pattern, from, stop)
  while true do
    local found = matching(state, at, pattern, stop + 1)
    if found then return found end
    if not single(state, at, pattern, from, stop) then return nil end
    at = at + 1
  end
end

function matching(state, at, pattern, from)
  state.depth = state.depth + 1
  if state.depth > DEEPEST then error("pattern too complex", 0) end
  local found
  while true do
    if from > #pattern then
      found = at
      break
    end
    local p, following = sub(pattern, from, from), sub(pattern, from + 1, from + 1)
    if p == "(" then
      if following == ")" then
        found = open_capture(state, at, pattern, from + 2, "at")
      else
        found = open_capture(state, at, pattern, from + 1, "open")
      end
      break
    elseif p == ")" then
      found = close_capture(state, at, pattern, from + 1)
      break
    elseif p == "$" and from == #pattern then
      found = at == state.size + 1 and at or nil
      break
    elseif p == "%" and following == "b" then
      at = balanced(state, at, sub(pattern, from + 2, from + 2), sub(pattern, from + 3, from + 3))
      if not at then break end
      from = from + 4
    elseif p == "%" and find(following, "%d") then
      local text = captured(state, tonumber(following))
      if sub(state.text, at, at + #text - 1) ~= text then break end
      at, from = at + #text, from + 2
    else
      local stop = item_end(pattern, from)
      local mark = sub(pattern, stop, stop)
      if mark == "*" or mark == "+" then
        found = repeated(state, at, pattern, from, stop, mark == "+" and 1 or 0)
        break
      elseif mark == "-" then
        found = reluctant(state, at, pattern, from, stop)
        break
      elseif mark == "?" then
        if single(state, at, pattern, from, stop) then
          found = matching(state, at + 1, pattern, stop + 1)
          if found then break end
        end
        from = stop + 1
      else
        if not single(state, at, pattern, from, stop) then break end
        at, from = at + 1, stop
      end
    end
  end
  state.depth = state.depth - 1
  return found
end

local function all_captured(state, n)
  n = n or 1
  if n > state.level then return end
  return captured(state, n), all_captured(state, n + 1)
end

-- Returns where a pattern matches first, and its captures; as string.find does.
local function search(text, pattern, from)
  local anchored = sub(pattern, 1, 1) == "^"
  local state = { text = text, size = #text, level = 0, depth = 0 }
  for at = from, #text + 1 do
    state.level, state.depth = 0, 0
    local stop = matching(state, at, pattern, anchored and 2 or 1)
    if stop then return at, stop - 1, all_captured(state) end
    if anchored then return nil end
  end
  return nil
end

-- ------------------------------------------------------------------------- the functions

local function start_of(text, from)
  from = from or 1
  if from < 0 then from = max(#text + from + 1, 1) elseif from == 0 then from = 1 end
  return floor(from)
end

-- Returns where a pattern matches first, and its captures.
local function find_from(text, pattern, from)
  if from > #text + 1 then return nil end
  local studied = study(pattern)
  if is_quick(studied, #text - from + 1) then return find(text, studied.text, from) end
  return search(text, studied.text, from)
end

local function find_text(text, pattern, from, plain)
  if pattern == "" then return 1, 0 end
  from = start_of(text, from)
  if from > #text + 1 then return nil end
  if plain then return find(text, pattern, from, true) end
  return find_from(text, pattern, from)
end

local function captures_of(text, from, stop, ...)
  if not from then return nil end
  if select("#", ...) == 0 then return sub(text, from, stop) end
  return ...
end

local function match_text(text, pattern, from)
  from = start_of(text, from)
  if from > #text + 1 then return nil end
  return captures_of(text, find_from(text, pattern, from))
end

local function each_match(text, pattern)
  local at, ended = 1, false
  local anchored = sub(pattern, 1, 1) == "^"
  local function step(from, stop, ...)
    if not from then
      ended = true
      return nil
    end
    at = stop >= from and stop + 1 or from + 1
    ended = anchored or at > #text + 1
    return captures_of(text, from, stop, ...)
  end
  return function()
    if ended then return nil end
    return step(find_from(text, pattern, at))
  end
end

-- What stands for a match; nil: it stays.
local function replaced(text, from, stop, with, ...)
  local kind = type(with)
  local whole = sub(text, from, stop)
  local first = select("#", ...) == 0 and whole or (...)
  if kind == "function" then
    if select("#", ...) == 0 then return (with(whole)) end
    return (with(...))
  end
  if kind == "table" then return with[first] end
  local given = { ... }
  if #given == 0 then given[1] = whole end
  return (gsub(with, "%%([%d%%])", function(c)
    if c == "%" then return "%" end
    if c == "0" then return whole end
    local capture = given[tonumber(c)]
    if capture == nil then error("invalid capture index", 0) end
    return capture
  end))
end

local function substitute(text, pattern, with, most, spelled)
  local out, at, copied, done = {}, 1, 1, 0
  local anchored = sub(pattern, 1, 1) == "^"
  local function step(from, stop, ...)
    if not from then return false end
    done = done + 1
    local new = spelled(replaced(text, from, stop, with, ...))
    if new then
      out[#out + 1] = sub(text, copied, from - 1)
      out[#out + 1] = new
      copied = stop + 1
    end
    at = stop >= from and stop + 1 or from + 1
    return not anchored
  end
  while done < most and at <= #text + 1 do
    if not step(find_from(text, pattern, at)) then break end
  end
  out[#out + 1] = sub(text, copied)
  return table.concat(out), done
end

return {
  find = find_text, match = match_text, gmatch = each_match, substitute = substitute,
}
