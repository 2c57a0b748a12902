"""Ours, not sprig's: texts made harmless for chats, where a lonely underscore changes a message."""

import re
from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError

_MODES = {
    "Markdown": re.compile(r"([_*`\[])"),
    "MarkdownV2": re.compile(r"([_*\[\]()~`>#+\-=|{}.!\\])"),
}
"""Characters of Telegram's ways to write a message that a backslash makes plain."""


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _telegram(first: str, *rest: str) -> str:
    """Return a text for a way to write messages, `Markdown` where none is given before it."""
    if len(rest) > 1:
        raise EvaluationError("want a text, and before it at most a way to write messages")
    mode, text = (first, rest[0]) if rest else ("Markdown", first)
    if mode == "HTML":
        return _html(text)
    if mode not in _MODES:
        raise EvaluationError(f"{mode!r} is none of {', '.join(_MODES)}, HTML")
    return _MODES[mode].sub(r"\\\1", text)


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("slackEscape", "string", _html),
    ("telegramEscape", "string ...string", _telegram),
]
