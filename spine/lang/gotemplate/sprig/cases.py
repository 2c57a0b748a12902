"""Letters and their case: upper and lower, title, and the styles of names in programs.

Go changes each letter for one other letter, without regard to its neighbours, so `ß` stays.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

_CONNECTORS = "_- "


def _single(letter: str, changed: str) -> str:
    return changed if len(changed) == 1 else letter


def upper(text: str) -> str:
    """Return a text in capitals."""
    if text.isascii():
        return text.upper()
    return "".join(_single(letter, letter.upper()) for letter in text)


def lower(text: str) -> str:
    """Return a text in small letters."""
    if text.isascii():
        return text.lower()
    return "".join("i" if c == "\u0130" else _single(c, c.lower()) for c in text)


def _title_letter(letter: str) -> str:
    return _single(letter, letter.title())


def _joins(letter: str) -> bool:
    """Say whether a letter belongs to a word, as strings.Title sees it."""
    if letter.isascii():
        return letter == "_" or letter.isalnum()
    return not letter.isspace() or letter.isalnum()


def _title(text: str) -> str:
    out, before = [], " "
    for letter in text:
        out.append(letter if _joins(before) else _title_letter(letter))
        before = letter
    return "".join(out)


def _untitle(text: str) -> str:
    out, before = [], " "
    for letter in text:
        out.append(lower(letter) if before.isspace() and not letter.isspace() else letter)
        before = letter
    return "".join(out)


def _swapcase(text: str) -> str:
    out, before = [], " "
    for letter in text:
        if letter.isupper() or letter.istitle():
            out.append(lower(letter))
        elif letter.islower():
            out.append(_title_letter(letter) if before.isspace() else upper(letter))
        else:
            out.append(letter)
        before = letter
    return "".join(out)


# ---------------------------------------------------------------------------- names


def _class(letter: str) -> str:
    """Return what a letter is.

    U is a capital, l a small letter, N a number, C or S what connects, P punctuation, O all else.
    """
    if letter in _CONNECTORS:
        return "S" if letter == " " else "C"
    if letter.isupper() or letter.istitle():
        return "U"
    if letter.islower():
        return "l"
    category = unicodedata.category(letter)[0]
    return category if category in {"N", "P"} else "O"


_WORDS = re.compile(
    r"[CS]|P[PC]*|N+l[lN]*?(?=N*(?:[^lN]|$))N*|U+(?=Ul)|U?l+|U+|O+|N+",
)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield words, with the class of each: C, P, N for plain numbers, w."""
    classes = "".join(map(_class, text))
    for match in _WORDS.finditer(classes):
        found = match[0]
        kind = (
            "C"
            if found == "S"
            else found[0]
            if found[0] in "CP"
            else "N"
            if found.strip("N") == ""
            else "w"
        )
        yield text[match.start() : match.end()], kind


def _joined(text: str, connector: str) -> str:
    """Return the words of a name in small letters, with a connector between them."""
    out: list[str] = []
    before = ""
    for word, kind in _pieces(text):
        if kind == "C":
            out.append(connector)
        else:
            apart = before in {"w", "N"} and kind == "w"
            out.append((connector if apart else "") + lower(word))
        before = kind
    return "".join(out)


def _camel(text: str) -> str:
    stripped = text.lstrip(_CONNECTORS)
    if not stripped:
        return text + text[-1:]
    core = stripped.rstrip(_CONNECTORS)
    parts = re.split(r"([_\- ]+)", core)
    out = [text[: len(text) - len(stripped)]]
    for index, part in enumerate(parts):
        out.append(part[:-1] if index % 2 else _capitalised(part))
    return "".join(out) + stripped[len(core) :]


def _capitalised(word: str) -> str:
    """Return a word with a capital first; capitals that follow one at once become small."""
    end = 1
    if word[0].isupper():
        while end < len(word) and word[end].isupper():
            end += 1
    return upper(word[0]) + lower(word[1:end]) + word[end:]


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("upper", "string", upper),
    ("lower", "string", lower),
    ("title", "string", _title),
    ("untitle", "string", _untitle),
    ("swapcase", "string", _swapcase),
    ("snakecase", "string", lambda text: _joined(text, "_")),
    ("kebabcase", "string", lambda text: _joined(text, "-")),
    ("camelcase", "string", _camel),
]
