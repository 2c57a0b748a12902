"""Secrets in templates, kept out of messages until they are sent.

A rendered message waits on the bus and is shown to people, so `.secrets.token` renders to a marker
that names the key. What a template does to a secret, such as `b64enc`, is noted in the marker and
done when the message is sent. A marker made by somebody else, in an annotation say, is destroyed:
each rendering signs its own with a number that nobody can guess.
"""

import base64
import binascii
import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from secrets import token_hex
from typing import Any

from typing_extensions import override

from spine.lang import EvaluationError
from spine.lang.gotemplate.builtins import BUILTINS
from spine.lang.gotemplate.functions import Function
from spine.lang.gotemplate.sprig import FUNCTIONS

OPEN, CLOSE = "\U0010f5ec", "\U0010f5ed"
"""What a marker stands between: characters of the last private plane, which no font has."""
_LONGEST = 1_000_000
"""Characters of what is put into a message for one marker, and of a marker's own."""
_SECRET, _IN_JSON, _KEPT = "$secret", "$json", "$kept"
_MARKER = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
_PLACE = f"[{OPEN}{CLOSE}]"

_HANDED_ON = frozenset(
    (
        *("and", "or", "not", "default", "coalesce", "ternary", "empty", "all", "any", "print"),
        *("toString", "list", "tuple", "dict", "set", "merge", "mergeOverwrite", "first", "last"),
        *("rest", "initial", "append", "prepend", "concat", "reverse", "index", "get"),
        *("pick", "omit", "keys", "values", "pluck", "deepCopy", "compact", "without"),
    )
)
"""Functions that do not look into the texts that they are given."""
_PUT_OFF = frozenset(
    (
        *("slackEscape", "telegramEscape"),
        *("b64enc", "b64dec", "b32enc", "b32dec", "quote", "squote", "printf", "println", "html"),
        *("js", "urlquery", "toJson", "toRawJson", "toPrettyJson", "mustToJson", "join", "cat"),
        *("upper", "lower", "title", "untitle", "trim", "trimAll", "trimPrefix", "trimSuffix"),
        *("nospace", "replace", "repeat", "substr", "trunc", "abbrev", "initials", "indent"),
        *("nindent", "wrap", "wrapWith", "swapcase", "snakecase", "camelcase", "kebabcase"),
        *("sha1sum", "sha256sum", "sha512sum", "adler32sum", "regexFind", "regexReplaceAll"),
        *("regexReplaceAllLiteral", "base", "dir", "ext", "clean"),
    )
)
"""Functions that give a text, and are called when the message is sent."""
_ALL: Mapping[str, Function] = {**BUILTINS, **FUNCTIONS}


class Secrets(dict[str, str]):
    """`.secrets`: key -> marker; another key is an error."""

    @override
    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            return self[key]
        raise EvaluationError(f"the Secret has no key {key!r}{_meant(key, self)}")


class NoSecrets(dict[str, str]):
    """`.secrets` where there are none."""

    @override
    def get(self, key: str, default: Any = None) -> Any:
        raise EvaluationError(f"reading key {key!r}: there are no .secrets here")


def _meant(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


class Rendering:
    """The markers of one rendering."""

    def __init__(self, keys: Collection[str] | None) -> None:
        self._sign = token_hex(8)
        self._made: list[tuple[str, list[Any]]] = []
        self._ours = re.compile(f"{OPEN}{self._sign}:(\\d+){CLOSE}")
        self.secrets: Secrets | NoSecrets = NoSecrets()
        if keys is not None:
            self.secrets = Secrets({key: self.mark(_SECRET, [key]) for key in keys})

    def mark(self, what: str, args: list[Any]) -> str:
        """Return the marker for a call that is put off."""
        self._made.append((what, args))
        return f"{OPEN}{self._sign}:{len(self._made) - 1}{CLOSE}"

    def adopted(self, value: Any) -> Any:
        """Return a value whose markers were settled by an earlier rendering, as ours."""
        if isinstance(value, str):
            return _MARKER.sub(lambda found: self.mark(_KEPT, [found[0]]), value)
        if isinstance(value, dict):
            return {key: self.adopted(one) for key, one in value.items()}
        return [*map(self.adopted, value)] if isinstance(value, list) else value

    def holds(self, value: Any) -> bool:
        """Return whether there is a marker of ours in a value."""
        if isinstance(value, str):
            return OPEN in value and self._ours.search(value) is not None
        if isinstance(value, dict):
            return any(map(self.holds, value.values()))
        return isinstance(value, list | tuple) and any(map(self.holds, value))

    def settled(self, value: Any) -> Any:
        """Return a value whose markers stand for themselves, less those that are not ours."""
        if isinstance(value, str):
            if OPEN not in value and CLOSE not in value:
                return value
            text, end = "", 0
            for found in self._ours.finditer(value):
                what, args = self._made[int(found[1])]
                text += destroyed(value[end : found.start()])
                text += args[0] if what == _KEPT else marker(what, [*map(self.settled, args)])
                end = found.end()
            return text + destroyed(value[end:])
        if isinstance(value, dict):
            return {key: self.settled(one) for key, one in value.items()}
        return [self.settled(one) for one in value] if isinstance(value, list) else value


def marker(what: str, args: list[Any]) -> str:
    """Return a marker that stands for itself. Raises EvaluationError."""
    try:
        data = json.dumps([what, args], separators=(",", ":")).encode()
    except (TypeError, ValueError) as exc:
        raise EvaluationError(f"calling {what} with a secret and what is no JSON") from exc
    if len(data) > _LONGEST:
        raise EvaluationError(f"calling {what} with a secret: its arguments are too long")
    return OPEN + base64.urlsafe_b64encode(data).decode() + CLOSE


def destroyed(text: str) -> str:
    """Return a text in which nothing is a marker."""
    return text if text.isascii() else re.sub(_PLACE, "\ufffd", text)


def in_json(text: str) -> str:
    """Return a text for a place inside of quotes in JSON: what a secret holds is escaped there."""
    return marker(_IN_JSON, [text]) if OPEN in text else text


_rendering: ContextVar[Rendering | None] = ContextVar("_rendering", default=None)


@contextmanager
def rendering(keys: Collection[str] | None) -> Iterator[Rendering]:
    """Make markers for the keys of a Secret while templates are rendered; None: there is none."""
    made = Rendering(keys)
    token = _rendering.set(made)
    try:
        yield made
    finally:
        _rendering.reset(token)


# ---------------------------------------------------------------------------- functions


def _veiled(function: Function) -> Function:
    """Return a function of templates that takes care of markers."""
    call, name = function.call, function.name

    def veiled(*args: Any) -> Any:
        now = _rendering.get()
        if now is None or not any(map(now.holds, args)):
            return call(*args)
        if name in _PUT_OFF:
            return now.mark(name, list(args))
        if any(isinstance(arg, str) and now.holds(arg) for arg in args):
            raise EvaluationError("what a secret is, is only known when the message is sent")
        return call(*args)

    rest = [f"...{function.rest}"] if function.rest else []
    signature = " ".join([*function.fixed, *rest])
    return Function(name, signature, veiled, mutates=function.mutates, deep=function.deep)


VEILED: Mapping[str, Function] = {
    name: _veiled(function) for name, function in _ALL.items() if name not in _HANDED_ON
}
"""All functions that look into texts, for templates that read secrets."""


# ---------------------------------------------------------------------------- revealing


def revealed(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return a value with what its markers stand for.

    Raises EvaluationError for a key that the Secret does not have any more.
    """
    return _replaced(value, lambda what, args: _made_of(what, args, secrets))


def hidden(value: Any) -> Any:
    """Return a value with `***` for its markers, for people."""
    return _replaced(value, lambda _what, _args: "***")


def _replaced(value: Any, make: Callable[[str, list[Any]], str]) -> Any:
    if isinstance(value, str):
        if OPEN not in value:
            return value
        return _MARKER.sub(lambda found: make(*_read(found[1])), value)
    if isinstance(value, dict):
        return {key: _replaced(one, make) for key, one in value.items()}
    return [_replaced(one, make) for one in value] if isinstance(value, list) else value


def _read(text: str) -> tuple[str, list[Any]]:
    try:
        what, args = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error) as exc:
        raise EvaluationError("reading a secret's marker: it is damaged") from exc
    return str(what), list(args)


def _made_of(what: str, args: list[Any], secrets: Mapping[str, str]) -> str:
    if what == _SECRET:
        key = str(args[0])
        if key not in secrets:
            raise EvaluationError(f"reading key {key!r} of the Secret: it is not there any more")
        return secrets[key]
    args = revealed(args, secrets)
    if what == _IN_JSON:
        return json.dumps(args[0], ensure_ascii=False)[1:-1]
    try:
        made = str(_ALL[what](*args))
    except EvaluationError as exc:
        raise EvaluationError(f"calling {what} with a secret: {_without(exc, args)}") from None
    if len(made) > _LONGEST:
        raise EvaluationError(f"calling {what} with a secret: {len(made)} characters are too many")
    return made


def _without(exc: EvaluationError, args: list[Any]) -> str:
    """Return why a call failed, where that does not show what it was given."""
    text = str(exc)
    shown = any(isinstance(arg, str) and arg and arg in text for arg in args)
    return "it was refused" if shown else text
