"""The built-in functions of jq that make a value of values."""

import math
from collections.abc import Callable
from itertools import groupby
from typing import Any

import orjson

from spine.lang import EvaluationError
from spine.lang.gonumber import parse_float
from spine.lang.jq import dates, formats, matching, mathematics, places
from spine.lang.jq import values as v
from spine.lang.jq.nodes import words

# ---------------------------------------------------------------------------- of the input


def _length(value: Any) -> Any:
    if value is None:
        return 0
    if isinstance(value, bool):
        raise v.inapplicable("length", value)
    return abs(value) if isinstance(value, int | float) else len(value)


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return sorted(value)
    return list(range(len(_list(value, "keys"))))


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise v.inapplicable(name, value)
    return value


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise v.inapplicable(name, value)
    return value


def _add(value: Any) -> Any:
    if not isinstance(value, list | dict):
        raise v.inapplicable("add", value)
    return total(v.items(value))


def total(items: list[Any]) -> Any:
    """Return the sum of items, as `add` gives it. Raises JqError."""
    kinds = {type(item) for item in items} - {type(None)}
    if kinds == {str}:
        return "".join(item for item in items if item)
    if kinds == {list}:
        return [part for item in items if item for part in item]
    if kinds == {dict}:
        return {key: part for item in items if item for key, part in item.items()}
    total = None
    for item in items:
        total = v.add(total, item)
    return total


def _to_number(value: Any) -> Any:
    if v.kind(value) == "number":
        return value
    text = _string(value, "tonumber")
    number = parse_float(text) if text.isascii() and not _ODD & set(text) else None
    if number is None:
        raise v.JqError(f"tonumber cannot be applied to {v.to_json(text)}: invalid number")
    digits = text.removeprefix("+").removeprefix("-")
    return int(text) if digits.isdigit() and len(digits) < _MOST_DIGITS else number


_ODD = set("_xXpPnNiI ")
_MOST_DIGITS = 16


def _from_json(value: Any) -> Any:
    text = _string(value, "fromjson")
    try:
        return v.doubles(orjson.loads(text))
    except orjson.JSONDecodeError as exc:
        raise v.JqError(f"fromjson cannot be applied to {v.to_json(text)}: {exc}") from None


def to_entries(value: Any) -> list[Any]:
    """Return members as `{key, value}`. Raises JqError."""
    if isinstance(value, list):
        return [{"key": at, "value": item} for at, item in enumerate(value)]
    if not isinstance(value, dict):
        raise v.inapplicable("keys", value)  # as gojq says
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def from_entries(value: Any) -> dict[str, Any]:
    """Return an object of such entries. Raises JqError."""
    made: dict[str, Any] = {}
    for entry in v.items(value):
        if not isinstance(entry, dict):
            raise v.JqError(f"expected an object but got: {v.shown(entry)}")
        key = next((entry[name] for name in _KEY_NAMES if v.truthy(entry.get(name))), None)
        if not isinstance(key, str):
            raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
        made[key] = next((entry[name] for name in _VALUE_NAMES if name in entry), None)
    return made


_KEY_NAMES = ("key", "name", "Key", "Name")
_VALUE_NAMES = ("value", "Value")


def _flatten(value: Any, depth: Any = math.inf) -> list[Any]:
    if v.kind(depth) != "number" or depth < 0:
        raise v.JqError(f"flatten depth should not be negative: {v.to_json(depth)}")
    if not isinstance(value, list | dict):
        raise v.inapplicable("flatten", value)
    flat: list[Any] = []
    for item in v.items(value):
        if isinstance(item, list) and depth >= 1:
            flat += _flatten(item, depth - 1)
        else:
            flat.append(item)
    return flat


def _rounded(function: Callable[[float], float], name: str) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if v.kind(value) != "number":
            raise v.inapplicable(name, value)
        if isinstance(value, int) or not math.isfinite(value):
            return value
        whole = v.narrowed(int(function(value)))
        return whole or math.copysign(0.0, value)

    return apply


def _absolute(value: Any) -> Any:
    if v.kind(value) != "number":
        raise v.inapplicable("abs", value)
    return abs(value)


def _case(name: str, start: str, distance: int) -> Callable[[Any], str]:
    table = {code: code + distance for code in range(ord(start), ord(start) + 26)}
    return lambda value: _string(value, name).translate(table)


def _stripped(name: str, strip: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: strip(_string(value, name))


_SPACE = " \t\n\r\f\v\x85\xa0"


def _refused(name: str, value: Any) -> Any:
    raise v.inapplicable(name, value)


def _halt(value: Any) -> Any:
    raise EvaluationError(f"halt error: {v.to_json(value)}")


def _implode(value: Any) -> str:
    if not isinstance(value, list) or any(v.kind(code) != "number" for code in value):
        raise v.inapplicable("implode", value)
    return "".join(map(_letter, value))


def _letter(code: float) -> str:
    known = math.isfinite(code) and 0 <= code < _SURROGATES.start
    known = known or (math.isfinite(code) and _SURROGATES.stop <= code <= _LAST_LETTER)
    return chr(int(code)) if known else "\ufffd"


_SURROGATES = range(0xD800, 0xE000)
_LAST_LETTER = 0x10FFFF


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    if isinstance(value, str):
        raise v.JqError(f"toboolean cannot be applied to {v.preview(value)}: invalid boolean")
    raise v.inapplicable("toboolean", value)


def _transpose(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise v.inapplicable("transpose", value)
    width = max(map(len, value), default=0)
    if width * len(value) > _MOST_CELLS:
        raise EvaluationError(f"transpose makes more than {_MOST_CELLS} elements")
    return [[row[at] if at < len(row) else None for row in value] for at in range(width)]


_MOST_CELLS = 2_000_000


def _distinct(items: list[Any]) -> list[Any]:
    return [next(group) for _, group in groupby(items, key=v.sort_key)]


NAMES = words(
    "IN/1 IN/2 INDEX/1 INDEX/2 JOIN/2 JOIN/3 JOIN/4 abs/0 acos/0 acosh/0 add/0 add/1 all/0 "
    "all/1 all/2 any/0 any/1 any/2 arrays/0 ascii_downcase/0 ascii_upcase/0 asin/0 asinh/0 "
    "atan/0 atan2/2 atanh/0 booleans/0 bsearch/1 builtins/0 capture/1 capture/2 cbrt/0 "
    "ceil/0 combinations/0 combinations/1 contains/1 copysign/2 cos/0 cosh/0 debug/1 del/1 "
    "delpaths/1 drem/2 empty/0 endswith/1 env/0 erf/0 erfc/0 error/0 error/1 exp/0 exp10/0 "
    "exp2/0 explode/0 expm1/0 fabs/0 fdim/2 finites/0 first/0 first/1 flatten/0 flatten/1 "
    "floor/0 fma/3 fmax/2 fmin/2 fmod/2 format/1 frexp/0 from_entries/0 fromdate/0 "
    "fromdateiso8601/0 fromjson/0 fromstream/1 gamma/0 getpath/1 gmtime/0 group_by/1 gsub/2 "
    "gsub/3 halt/0 halt_error/0 halt_error/1 has/1 hypot/2 implode/0 in/1 index/1 indices/1 "
    "infinite/0 input/0 inputs/0 inside/1 isempty/1 isfinite/0 isinfinite/0 isnan/0 "
    "isnormal/0 iterables/0 j0/0 j1/0 jn/2 join/1 keys/0 last/0 last/1 ldexp/2 length/0 "
    "lgamma/0 limit/2 localtime/0 log/0 log10/0 log1p/0 log2/0 logb/0 ltrim/0 ltrimstr/1 "
    "map/1 map_values/1 match/1 match/2 max/0 max_by/1 min/0 min_by/1 mktime/0 modf/0 "
    "modulemeta/0 nan/0 nearbyint/0 nextafter/2 nexttoward/2 normals/0 not/0 now/0 nth/1 "
    "nth/2 nulls/0 numbers/0 objects/0 path/1 paths/0 paths/1 pick/1 pow/2 range/1 range/2 "
    "range/3 recurse/0 recurse/1 recurse/2 remainder/2 repeat/1 reverse/0 rindex/1 rint/0 "
    "round/0 rtrim/0 rtrimstr/1 scalars/0 scalb/2 scalbln/2 scan/1 scan/2 select/1 setpath/2 "
    "significand/0 sin/0 sinh/0 skip/2 sort/0 sort_by/1 split/1 split/2 splits/1 splits/2 "
    "sqrt/0 startswith/1 strflocaltime/1 strftime/1 strings/0 strptime/1 sub/2 sub/3 tan/0 "
    "tanh/0 test/1 test/2 tgamma/0 to_entries/0 toboolean/0 todate/0 todateiso8601/0 "
    "tojson/0 tonumber/0 tostream/0 tostring/0 transpose/0 trim/0 trimstr/1 trunc/0 "
    "truncate_stream/1 type/0 unique/0 unique_by/1 until/2 utf8bytelength/0 values/0 walk/1 "
    "while/2 with_entries/1 y0/0 y1/0 yn/2"
)
"""What `builtins` gives."""


OF_INPUT: dict[str, Callable[[Any], Any]] = {
    "length": _length,
    "utf8bytelength": lambda value: len(_string(value, "utf8bytelength").encode()),
    "not": lambda value: not v.truthy(value),
    "keys": _keys,
    "type": v.kind,
    "tostring": v.to_text,
    "tojson": v.to_json,
    "tonumber": _to_number,
    "fromjson": _from_json,
    "add": _add,
    "any": lambda value: any(map(v.truthy, v.items(value))),
    "all": lambda value: all(map(v.truthy, v.items(value))),
    "first": lambda value: v.index(value, 0),
    "last": lambda value: v.index(value, -1),
    "reverse": lambda value: _list(value, "reverse")[::-1],
    "sort": lambda value: v.ordered(_list(value, "sort")),
    "unique": lambda value: _distinct(v.ordered(_list(value, "unique"))),
    "min": lambda value: min(_list(value, "min"), key=v.sort_key, default=None),
    "max": lambda value: max(reversed(_list(value, "max")), key=v.sort_key, default=None),
    "flatten": _flatten,
    "to_entries": to_entries,
    "from_entries": from_entries,
    "ascii_downcase": _case("ascii_downcase", "A", 32),
    "ascii_upcase": _case("ascii_upcase", "a", -32),
    "trim": _stripped("trim", lambda text: text.strip(_SPACE)),
    "ltrim": _stripped("ltrim", lambda text: text.lstrip(_SPACE)),
    "rtrim": _stripped("rtrim", lambda text: text.rstrip(_SPACE)),
    "floor": _rounded(math.floor, "floor"),
    "ceil": _rounded(math.ceil, "ceil"),
    "round": _rounded(lambda x: math.copysign(math.floor(abs(x) + 0.5), x), "round"),
    "abs": _absolute,
    "env": lambda _value: {},
    "nan": lambda _value: math.nan,
    "infinite": lambda _value: math.inf,
    "explode": lambda value: [ord(letter) for letter in _string(value, "explode")],
    "implode": _implode,
    "toboolean": _to_boolean,
    "transpose": _transpose,
    "builtins": lambda _value: sorted(NAMES),
    "modulemeta": lambda value: _refused("modulemeta", value),
    "halt": _halt,
    "halt_error": _halt,
    "gmtime": dates.gmtime,
    "localtime": dates.gmtime,
    "mktime": dates.mktime,
    "todate": dates.to_date,
    "todateiso8601": dates.to_date,
    "fromdate": dates.from_date,
    "fromdateiso8601": dates.from_date,
    "now": dates.now,
    **mathematics.OF_INPUT,
}

# ---------------------------------------------------------------------------- of one argument


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and v.kind(key) == "number":
        return bool(0 <= key < len(value))
    if value is None:
        return False
    raise v.inapplicable(f"has({v.preview(key)})", value)


def _affix(name: str, apply: Callable[[str, str], Any]) -> Callable[[Any, Any], Any]:
    def affix(value: Any, part: Any) -> Any:
        if not isinstance(value, str) or not isinstance(part, str):
            raise v.inapplicable(f"{name}({v.preview(part)})", value)
        return apply(value, part)

    return affix


def _split(value: Any, by: Any) -> list[str]:
    return v.split(_string(value, "split"), _string(by, "split"))


def _join(value: Any, by: Any) -> str:
    if not isinstance(value, list | dict):
        raise v.inapplicable(f"join({v.preview(by)})", value)
    parts = [_joined(item) for item in v.items(value)]
    if len(parts) > 1 and not isinstance(by, str | None):
        raise v.inapplicable(f"join({v.preview(by)})", value)
    return by.join(parts) if isinstance(by, str) else "".join(parts)


def _joined(item: Any) -> str:
    if item is None:
        return ""
    if isinstance(item, list | dict):
        raise v.JqError(f'cannot add: string ("") and {v.shown(item)}')
    return v.to_text(item)


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, dict) and isinstance(part, dict):
        return all(key in value and _contains_in(value[key], item) for key, item in part.items())
    if isinstance(value, list) and isinstance(part, list):
        return all(any(_contains_in(item, wanted) for item in value) for wanted in part)
    if isinstance(value, str) and isinstance(part, str):
        return part in value
    if v.kind(value) == v.kind(part):
        return v.equal(value, part)
    raise v.inapplicable(f"contains({v.preview(part)})", value)


def _contains_in(value: Any, part: Any) -> bool:
    """Say whether a part contains another; parts of different types do not."""
    return v.kind(value) == v.kind(part) and _contains(value, part)


def _plus(_value: Any, number: Any) -> Any:
    if v.kind(number) != "number":
        raise v.JqError(f"cannot plus: {v.shown(number)}")
    return number


def _error_with(_value: Any, argument: Any) -> Any:
    raise v.JqError(argument)


def _indices(value: Any, part: Any, name: str = "indices") -> Any:
    if value is None:
        return None
    if isinstance(value, str) and isinstance(part, str):
        return _found_in(value, part) if part else []
    if isinstance(value, list):
        return v.positions(value, part if isinstance(part, list) else [part]) or []
    raise v.inapplicable(f"{name}({v.preview(part)})", value)


def _found_in(text: str, part: str) -> list[int]:
    found, at = list[int](), text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def _at_one(name: str, at: int) -> Callable[[Any, Any], Any]:
    def find(value: Any, part: Any) -> Any:
        found = _indices(value, part, name)
        return found[at] if found else None

    return find


def _search(value: Any, wanted: Any) -> int:
    """Return where something stands in an ordered list, or -1 less where it would have to."""
    if not isinstance(value, list):
        raise v.inapplicable(f"bsearch({v.preview(wanted)})", value)
    low, high = 0, len(value)
    while low < high:
        middle = (low + high) // 2
        if v.compare(value[middle], wanted) < 0:
            low = middle + 1
        else:
            high = middle
    return low if low < len(value) and v.equal(value[low], wanted) else -1 - low


def _formatted(value: Any, name: Any) -> str:
    if not isinstance(name, str):
        raise v.inapplicable(f"format({v.preview(name)})", value)
    return formats.find(name)(value)


def _trim_text(text: str, part: str) -> str:
    text = text.removeprefix(part)
    return text.removesuffix(part)


OF_ARGUMENT: dict[str, Callable[[Any, Any], Any]] = {
    "trimstr": _affix("trimstr", _trim_text),
    "indices": _indices,
    "index": _at_one("index", 0),
    "rindex": _at_one("rindex", -1),
    "bsearch": _search,
    "format": _formatted,
    "test": lambda value, pattern: matching.test(value, pattern, None),
    "getpath": places.get_path,
    "delpaths": places.delete_paths,
    "strftime": dates.strftime,
    "strflocaltime": dates.strftime,
    "strptime": dates.strptime,
    "halt_error": lambda value, _code: _halt(value),
    "has": _has,
    "in": lambda value, container: _has(container, value),
    "contains": _contains,
    "inside": lambda value, whole: _contains(whole, value),
    "startswith": _affix("startswith", str.startswith),
    "endswith": _affix("endswith", str.endswith),
    "ltrimstr": _affix("ltrimstr", str.removeprefix),
    "rtrimstr": _affix("rtrimstr", str.removesuffix),
    "split": _split,
    "join": _join,
    "flatten": _flatten,
    "nth": v.index,
    "error": _error_with,
    "_plus": _plus,
}
