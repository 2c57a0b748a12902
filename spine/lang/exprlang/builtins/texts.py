"""Functions on texts."""

from typing import Any

from spine.lang import EvaluationError, govalue
from spine.lang.exprlang.builtins.signature import (
    LISTS,
    TEXT,
    WHOLE,
    Signature,
    Wanted,
    function,
    text,
    unfit,
)
from spine.lang.exprlang.nodes import BOOL, INT, STRING, array
from spine.lang.exprlang.operators import whole
from spine.lang.exprlang.values import Budget, Strings

_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What Go takes for white space."""
_MOST_REPEATED = 1_000_000


def _trim(budget: Budget, value: Any, letters: Any = _SPACES) -> str:
    budget.read(text("trim", value))
    return str(value.strip(text("trim", letters)))


def _trim_prefix(budget: Budget, value: Any, prefix: Any = " ") -> str:
    budget.read(text("trimPrefix", value))
    return str(value.removeprefix(text("trimPrefix", prefix)))


def _trim_suffix(budget: Budget, value: Any, suffix: Any = " ") -> str:
    budget.read(text("trimSuffix", value))
    return str(value.removesuffix(text("trimSuffix", suffix)))


def _cased(name: str, *, up: bool) -> Signature:
    """Return upper or lower: Go turns letter by letter, so a letter stays one."""

    def run(budget: Budget, value: Any) -> str:
        budget.read(text(name, value))
        if value.isascii():
            return str(value.upper() if up else value.lower())
        return "".join(_letter(letter, up=up) for letter in value)

    return function(run, TEXT, gives=STRING)


def _letter(letter: str, *, up: bool) -> str:
    turned = letter.upper() if up else letter.lower()
    return turned if len(turned) == 1 else "i" if letter == "İ" and not up else letter


def _split(name: str, *, keep: bool) -> Signature:
    def run(budget: Budget, value: Any, separator: Any, most: Any = -1) -> Strings:
        budget.read(text(name, value))
        number = whole(most)
        parts = _parts(value, text(name, separator), number, keep=keep)
        budget.allocate(len(parts))
        return Strings(parts)

    return function(run, TEXT, TEXT, WHOLE, gives=array(STRING), least=2)


def _parts(value: str, separator: str, most: int, *, keep: bool) -> list[str]:
    if most == 0:
        return []
    if not separator:
        letters = list(value)
        if 0 < most < len(letters):
            return [*letters[: most - 1], "".join(letters[most - 1 :])]
        return letters
    parts = value.split(separator, most - 1 if most > 0 else -1)
    if keep:
        return [part + separator for part in parts[:-1]] + parts[-1:]
    return parts


def _replace(budget: Budget, value: Any, old: Any, new: Any, most: Any = -1) -> str:
    source, wanted = text("replace", value), text("replace", old)
    by = text("replace", new)
    number = whole(most)
    found = source.count(wanted) if wanted else len(source) + 1
    budget.make(len(source) + max(0, len(by) - len(wanted)) * found)
    return source.replace(wanted, by, number if number >= 0 else -1)


def _repeat(budget: Budget, value: Any, times: Any, *, later: bool) -> str:
    source, number = text("repeat", value), whole(times)
    if number < 0:
        raise EvaluationError(f"repeat does not take {number}, which is negative")
    size = len(source) * number if later else number
    if size > _MOST_REPEATED:
        raise EvaluationError(f"memory budget exceeded: repeat of {size} characters")
    budget.make(len(source) * number)
    return source * number


def _repeat_old(budget: Budget, value: Any, times: Any) -> str:
    return _repeat(budget, value, times, later=False)


def _repeat_new(budget: Budget, value: Any, times: Any) -> str:
    return _repeat(budget, value, times, later=True)


def _join(budget: Budget, items: Any, separator: Any = "") -> str:
    glue = text("join", separator)
    if not isinstance(items, list) or (type(items) is not list and type(items) is not Strings):
        raise unfit("join", items)
    parts = [text("join", item) for item in items]
    budget.step(len(parts))
    budget.make(sum(map(len, parts)) + len(glue) * len(parts))
    return glue.join(parts)


def _index(name: str, *, last: bool) -> Signature:
    """Return a search that counts in bytes, as Go does."""

    def run(budget: Budget, value: Any, part: Any) -> int:
        budget.read(text(name, value))
        text(name, part)
        at = int(value.rfind(part) if last else value.find(part))
        return at if value.isascii() or at < 0 else len(govalue.encode(value[:at]))

    return function(run, TEXT, TEXT, gives=INT)


def _has_prefix(budget: Budget, value: Any, prefix: Any) -> bool:
    del budget
    return text("hasPrefix", value).startswith(text("hasPrefix", prefix))


def _has_suffix(budget: Budget, value: Any, suffix: Any) -> bool:
    del budget
    return text("hasSuffix", value).endswith(text("hasSuffix", suffix))


_REPEATED: tuple[Wanted, ...] = (TEXT, frozenset(["int"]))

BOTH: dict[str, Signature] = {
    "trim": function(_trim, TEXT, TEXT, gives=STRING, least=1),
    "trimPrefix": function(_trim_prefix, TEXT, TEXT, gives=STRING, least=1),
    "trimSuffix": function(_trim_suffix, TEXT, TEXT, gives=STRING, least=1),
    "upper": _cased("upper", up=True),
    "lower": _cased("lower", up=False),
    "split": _split("split", keep=False),
    "splitAfter": _split("splitAfter", keep=True),
    "replace": function(_replace, TEXT, TEXT, TEXT, WHOLE, gives=STRING, least=3),
    "join": function(_join, LISTS, TEXT, gives=STRING, least=1),
    "indexOf": _index("indexOf", last=False),
    "lastIndexOf": _index("lastIndexOf", last=True),
    "hasPrefix": function(_has_prefix, TEXT, TEXT, gives=BOOL),
    "hasSuffix": function(_has_suffix, TEXT, TEXT, gives=BOOL),
}
OLD: dict[str, Signature] = {"repeat": function(_repeat_old, *_REPEATED, gives=STRING)}
NEW: dict[str, Signature] = {"repeat": function(_repeat_new, *_REPEATED, gives=STRING)}
