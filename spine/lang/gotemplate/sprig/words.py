"""Words: texts cut, joined, padded and quoted.

`nospace` and `initials` keep letters whole, where sprig takes each byte of `é` for a letter.
"""

import random
from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.gofmt import quote, verb_v
from spine.lang.gotemplate.runtime import bounded
from spine.lang.govalue import StringMap, Strings, decode, encode

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What Go takes for white space; Python's own has four control characters more."""


def text_of(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, bytes):
        return decode(value)
    return verb_v(value)


def texts_of(value: Any) -> Strings:
    """Return the elements of a list as texts, nil left out; anything else is one element."""
    if value is None:
        return Strings()
    if isinstance(value, list):
        return Strings(text_of(item) for item in value if item is not None)
    return Strings([text_of(value)])


# ---------------------------------------------------------------------------- bytes

Cut = Callable[[bytes], bytes]


def _on_bytes(text: str, cut: Cut) -> str:
    """Cut a text where Go does: by bytes."""
    return decode(cut(encode(text)))


def _trunc(count: int, text: str) -> str:
    def cut(data: bytes) -> bytes:
        if count < 0:
            return data[count:] if len(data) + count > 0 else data
        return data[:count]

    return _on_bytes(text, cut)


def _substr(start: int, end: int, text: str) -> str:
    def cut(data: bytes) -> bytes:
        first, last = start, end
        if start < 0:
            first = 0
        elif end < 0 or end > len(data):
            last = len(data)
        if not 0 <= first <= last <= len(data):
            raise EvaluationError(f"slice bounds out of range [{first}:{last}]")
        return data[first:last]

    return _on_bytes(text, cut)


def _abbreviated(data: bytes, offset: int, width: int) -> bytes:
    if len(data) <= width:
        return data
    offset = min(offset, len(data))
    if len(data) - offset < width - 3:
        offset = len(data) - (width - 3)
    if offset <= 4:  # noqa: PLR2004 -- no room for dots in front
        return data[: width - 3] + b"..."
    if offset + width - 3 < len(data):
        return b"..." + _abbreviated(data[offset:], 0, width - 3)
    return b"..." + data[len(data) - (width - 3) :]


def _abbrev(width: int, text: str) -> str:
    if width < 4:  # noqa: PLR2004 -- a letter and dots
        return text
    return _on_bytes(text, lambda data: _abbreviated(data, 0, width))


def _abbrev_both(left: int, right: int, text: str) -> str:
    if right < 4 or (left > 0 and right < 7):  # noqa: PLR2004 -- a letter and dots on both sides
        return text
    return _on_bytes(text, lambda data: _abbreviated(data, left, right))


def _wrapped(text: str, width: int, separator: str, *, cuts: bool) -> str:
    """Break a text at spaces into lines; words that are too long are cut, or stick out."""
    data, out, at = encode(text), [], 0
    width = max(width, 1)
    while len(data) - at > width:
        if data[at] == 0x20:  # noqa: PLR2004 -- a space
            at += 1
            continue
        space = data.rfind(b" ", at, at + width + 1)
        if space < 0:
            space = at + width if cuts else data.find(b" ", at + width)
            if space < 0:
                break
            skip = 0 if cuts else 1
        else:
            skip = 1
        out.append(decode(data[at:space]))
        at = space + skip
        bounded(len(data) + len(out) * len(separator))
    out.append(decode(data[at:]))
    return (separator or "\n").join(out)


# ---------------------------------------------------------------------------- growing


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise EvaluationError("negative Repeat count")
    bounded(len(text) * count)
    return text * count


def _indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise EvaluationError("negative Repeat count")
    bounded(len(text) + spaces * (text.count("\n") + 1))
    pad = " " * spaces
    return pad + text.replace("\n", "\n" + pad)


def _replace(old: str, new: str, text: str) -> str:
    if len(new) > len(old):
        bounded(len(text) + len(new) * (text.count(old) if old else len(text) + 1))
    return text.replace(old, new)


def _join(separator: str, value: Any) -> str:
    parts = texts_of(value)
    bounded(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


# ---------------------------------------------------------------------------- lists


def _split_list(separator: str, text: str) -> Strings:
    return Strings(text.split(separator) if separator else text)


def _numbered(parts: list[str]) -> StringMap:
    return StringMap((f"_{index}", part) for index, part in enumerate(parts))


def _splitn(separator: str, count: int, text: str) -> StringMap:
    if count == 0:
        return StringMap()
    if separator:
        return _numbered(text.split(separator, count - 1 if count > 0 else -1))
    cut = len(text) if count < 0 else min(count - 1, len(text))
    rest = [text[cut:]] if text[cut:] else []
    return _numbered([*text[:cut], *rest])


def _sort_alpha(value: Any) -> Strings:
    return Strings(sorted(texts_of(value) if isinstance(value, list) else [text_of(value)]))


# ---------------------------------------------------------------------------- the rest


def _quote(*values: Any) -> str:
    return " ".join(quote(text_of(value)) for value in values if value is not None)


def _squote(*values: Any) -> str:
    return " ".join(f"'{text_of(value)}'" for value in values if value is not None)


def _cat(*values: Any) -> str:
    return " ".join(text_of(value) for value in values if value is not None)


def _initials(text: str) -> str:
    out, gap = [], True
    for letter in text:
        space = letter in _SPACE
        if gap and not space:
            out.append(letter)
        gap = space
    return "".join(out)


def _nospace(text: str) -> str:
    return "".join(letter for letter in text if letter not in _SPACE)


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def _shuffle(text: str) -> str:
    return "".join(random.sample(text, len(text)))


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("abbrev", "int string", _abbrev),
    ("abbrevboth", "int int string", _abbrev_both),
    ("cat", "...any", _cat),
    ("contains", "string string", lambda part, text: part in text),
    ("hasPrefix", "string string", lambda part, text: text.startswith(part)),
    ("hasSuffix", "string string", lambda part, text: text.endswith(part)),
    ("hello", "", lambda: "Hello!"),
    ("indent", "int string", _indent),
    ("nindent", "int string", lambda spaces, text: "\n" + _indent(spaces, text)),
    ("initials", "string", _initials),
    ("join", "string any", _join),
    ("nospace", "string", _nospace),
    ("plural", "string string int", _plural),
    ("quote", "...any", _quote),
    ("repeat", "int string", _repeat),
    ("replace", "string string string", _replace),
    ("shuffle", "string", _shuffle),
    ("sortAlpha", "any", _sort_alpha),
    ("split", "string string", lambda separator, text: _splitn(separator, -1, text)),
    ("splitList", "string string", _split_list),
    ("splitn", "string int string", _splitn),
    ("squote", "...any", _squote),
    ("substr", "int int string", _substr),
    ("toString", "any", text_of),
    ("toStrings", "any", texts_of),
    ("trim", "string", lambda text: text.strip(_SPACE)),
    ("trimAll", "string string", lambda letters, text: text.strip(letters) if letters else text),
    ("trimall", "string string", lambda letters, text: text.strip(letters) if letters else text),
    ("trimPrefix", "string string", lambda part, text: text.removeprefix(part)),
    ("trimSuffix", "string string", lambda part, text: text.removesuffix(part)),
    ("trunc", "int string", _trunc),
    ("wrap", "int string", lambda width, text: _wrapped(text, width, "", cuts=False)),
    (
        "wrapWith",
        "int string string",
        lambda width, sep, text: _wrapped(text, width, sep, cuts=True),
    ),
]
"""Name, signature, function."""
