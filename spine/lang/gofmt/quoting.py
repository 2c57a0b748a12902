"""Texts in quotes, as Go's strconv writes and reads them."""

import re

from spine.lang.govalue import decode, encode

_NAMED = {
    7: r"\a",
    8: r"\b",
    12: r"\f",
    10: r"\n",
    13: r"\r",
    9: r"\t",
    11: r"\v",
    0x5C: r"\\",
}
_PLAIN = re.compile(r"[ !#-\[\]-~]*")


def quote(text: str, *, ascii_only: bool = False, mark: str = '"') -> str:
    """Return a text in quotes, with escapes for what cannot be printed."""
    if mark == '"' and _PLAIN.fullmatch(text):
        return f'"{text}"'
    return mark + "".join(_letter(letter, mark, ascii_only) for letter in text) + mark


def _letter(letter: str, mark: str, ascii_only: bool) -> str:
    code = ord(letter)
    named = "\\" + mark if letter == mark else _NAMED.get(code)
    if named is not None:
        return named
    if letter.isprintable() and not (ascii_only and code > 0x7E):  # noqa: PLR2004 -- ASCII
        return letter
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 -- a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:  # noqa: PLR2004 -- control characters
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 -- 16 bits


def can_backquote(text: str) -> bool:
    """Say whether a text can stand between backquotes, unchanged, on one line."""
    return not any(
        letter in "`\x7f\ufeff"
        or (letter < " " and letter != "\t")
        or "\ud800" <= letter <= "\udfff"
        for letter in text
    )


_ESCAPE = re.compile(
    r"\\(?:(?P<named>[abfnrtv\\])|(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<mark>['\"]))"
)
_VALUES = dict(zip("abfnrtv\\", "\a\b\f\n\r\t\v\\", strict=True))
_LARGEST = 0x10FFFF


def unquote(body: str, mark: str = '"') -> str:
    """Return the text that stands between quotes. Raises ValueError for a bad escape."""
    if "\\" not in body:
        return body
    out: list[bytes] = []
    at = 0
    while at < len(body):
        end = body.find("\\", at)
        if end < 0:
            end = len(body)
        out.append(encode(body[at:end]))
        if end < len(body):
            match = _ESCAPE.match(body, end)
            if match is None:
                raise ValueError(f"{body[end : end + 2]} is no escape")
            out.append(_unescaped(match, mark))
            end = match.end()
        at = end
    return decode(b"".join(out))


def _unescaped(match: re.Match[str], mark: str) -> bytes:
    named, octal, byte, short, long = match.group("named", "octal", "hex", "short", "long")
    if named:
        return _VALUES[named].encode()
    if octal or byte:
        value = int(octal, 8) if octal else int(byte, 16)
        if value > 0xFF:  # noqa: PLR2004 -- a byte
            raise ValueError(f"{match[0]} is more than a byte")
        return encode(chr(value)) if mark == "'" else bytes([value])
    if short or long:
        code = int(short or long, 16)
        if code > _LARGEST or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 -- surrogates
            raise ValueError(f"{match[0]} is no character")
        return chr(code).encode()
    if match["mark"] != mark:
        raise ValueError(f"{match[0]} is no escape")
    return mark.encode()
