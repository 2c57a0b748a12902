"""What a message in Slack looks like, as plain text: for previews."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

from services.service import Message
from services.structures import Structures

_LINK = re.compile(r"<([^<>|\s]+)\|([^<>]*)>")
_BARE = re.compile(r"<([^<>|\s]+)>")


def readable(message: Message) -> str:
    """Return a message as its reader sees it; what is left out is named below it."""
    block = message.block
    structures = Structures(block)
    parts = [_from(block)] if block.get("username") or block.get("icon") else []
    blocks, attachments = structures.get("blocks"), structures.get("attachments")
    text = _mrkdwn(message.text).strip()
    if blocks is None:
        parts.append(text)
    else:
        parts += [line for one in blocks for line in _block(one)]
        parts.append(f"(in notifications: {text})" if text else "")
    for one in attachments or []:
        parts += [f"| {line}" for line in "\n".join(_attachment(one)).split("\n")]
    if block.get("groupingKey"):
        policy = block.get("deliveryPolicy") or "Post"
        parts.append(f"(thread {block['groupingKey']!r}, {policy})")
    parts += [f"({problem})" for problem in structures.problems]
    return "\n".join(part for part in parts if part)


def _from(block: Mapping[str, Any]) -> str:
    return f"{block.get('icon', '')} {block.get('username', '')}".strip() + ":"


def _mrkdwn(text: str) -> str:
    """Return a text with its links written out."""
    text = _LINK.sub(r"\2 (\1)", text)
    return unescape(_BARE.sub(r"\1", text))


def _text(value: Any) -> str:
    """Return a text object, or a text."""
    if isinstance(value, Mapping):
        text = str(value.get("text", ""))
        return text if value.get("type") == "plain_text" else _mrkdwn(text)
    return _mrkdwn(value) if isinstance(value, str) else ""


def _block(block: Any) -> Iterator[str]:
    """Yield the lines of a block."""
    if not isinstance(block, Mapping):
        return
    kind = block.get("type")
    if kind == "divider":
        yield "---"
    elif kind == "header":
        yield f"# {_text(block.get('text'))}"
    elif kind == "image":
        yield _image(block)
    elif kind == "rich_text":
        yield "".join(_rich(block)).rstrip("\n")
    else:
        yield from _section(block)


def _section(block: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a section, a context, or anything with such members."""
    yield _text(block.get("text"))
    fields = block.get("fields")
    if isinstance(fields, list):
        yield from (_text(one) for one in fields)
    elements = block.get("elements")
    if isinstance(elements, list):
        yield "  ".join(_element(one) for one in elements)
    if "accessory" in block:
        yield _element(block["accessory"])


def _element(element: Any) -> str:
    if not isinstance(element, Mapping):
        return ""
    kind = element.get("type")
    if kind == "image":
        return _image(element)
    if kind in {"mrkdwn", "plain_text"}:
        return _text(element)
    label = _text(element.get("text")) or _text(element.get("placeholder")) or str(kind)
    url = element.get("url")
    return f"[{label}]({url})" if url else f"[{label}]"


def _image(block: Mapping[str, Any]) -> str:
    return f"[image: {_text(block.get('title')) or block.get('alt_text', '')}]"


def _rich(node: Any) -> Iterator[str]:
    """Yield the pieces of a rich text."""
    if not isinstance(node, Mapping):
        return
    kind = node.get("type")
    if kind == "text":
        yield str(node.get("text", ""))
    elif kind == "link":
        yield f"{node.get('text') or node.get('url', '')} ({node.get('url', '')})"
    elif kind == "emoji":
        yield f":{node.get('name', '')}:"
    elif kind in {"user", "channel", "usergroup"}:
        yield f"@{node.get(f'{kind}_id', '')}"
    elements = node.get("elements")
    for one in elements if isinstance(elements, list) else []:
        inner = "".join(_rich(one))
        listed = kind == "rich_text_list"
        yield f"- {inner}\n" if listed else inner
    if kind in {"rich_text_section", "rich_text_preformatted", "rich_text_quote"}:
        yield "\n"


def _attachment(attachment: Any) -> Iterator[str]:
    """Yield the lines of an attachment."""
    if not isinstance(attachment, Mapping):
        return
    known = False
    for name in ("pretext", "author_name", "title", "text"):
        line = _text(attachment.get(name))
        if name == "title" and line and attachment.get("title_link"):
            line = f"{line} ({attachment['title_link']})"
        if line:
            known = True
            yield line
    fields = attachment.get("fields")
    for field in fields if isinstance(fields, list) else []:
        if isinstance(field, Mapping):
            known = True
            yield f"{_text(field.get('title'))}: {_text(field.get('value'))}"
    blocks = attachment.get("blocks")
    for one in blocks if isinstance(blocks, list) else []:
        known = True
        yield from _block(one)
    if not known:
        yield _text(attachment.get("fallback"))
    if attachment.get("footer"):
        yield _text(attachment["footer"])
