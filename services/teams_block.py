"""The block of a template that both services for Microsoft Teams read."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from services.service import Message, OpenBlock
from services.structures import Structures


class TeamsBlock(OpenBlock):
    """What a card for Teams is made of."""

    together: ClassVar[bool] = False

    template: str | dict[str, Any] = ""
    """The whole card, as JSON or YAML; nothing else counts then."""
    title: str = ""
    """Its title."""
    summary: str = ""
    """What notifications show of it."""
    text: str = ""
    """Its text; the message where it is empty."""
    theme_color: str = ""
    """Its colour."""
    facts: str | list[Any] = ""
    """List of `{name, value}`, as JSON or YAML."""
    sections: str | list[Any] = ""
    """List of sections, as JSON or YAML."""
    potential_action: str | list[Any] = ""
    """List of actions, as JSON or YAML."""


def readable(message: Message, whole: str) -> str:
    """Return a card as plain text; `whole` is the field that replaces all others."""
    import yaml

    structures = Structures(message.block)
    card = structures.get(whole, dict)
    if card is not None:
        return str(yaml.safe_dump(card, allow_unicode=True, sort_keys=False)).rstrip()
    return "\n".join(line for line in _lines(message, structures) if line)


def _lines(message: Message, structures: Structures) -> Iterator[str]:
    block = message.block
    yield f"# {block['title']}" if block.get("title") else ""
    yield block.get("text") or message.text.strip()
    for fact in _maps(structures.get("facts")):
        yield f"{fact.get('name', '')}: {fact.get('value', '')}"
    for section in _maps(structures.get("sections")):
        yield str(section.get("activityTitle") or section.get("title") or "")
        yield str(section.get("text") or "")
        for fact in _maps(section.get("facts")):
            yield f"{fact.get('name', '')}: {fact.get('value', '')}"
    for action in _maps(structures.get("potentialAction")):
        targets = _maps(action.get("targets"))
        yield f"[{action.get('name', '')}]" + (f"({targets[0].get('uri')})" if targets else "")
    yield from (f"({problem})" for problem in structures.problems)


def _maps(value: Any) -> list[Mapping[str, Any]]:
    """Return the maps in a list, none where it is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
