"""Writes a changed value into the text of a YAML document, and leaves the rest as it stands there.

A library that reads and writes YAML keeps comments, but indents lists its own way, folds long
lines and loses the comment that stands below a key that goes. Here lines are kept as they are:
only the keys that changed are written anew, and what moved is moved with its lines and the
comment above it. JSON, and maps in braces, are changed between their commas.
"""

from typing import Any

from tocsin.layout.block import Block
from tocsin.layout.braces import Braces
from tocsin.layout.page import Page
from tocsin.layout.sources import Origin, Sources
from tocsin.layout.tracing import same, traced

__all__ = ["rewritten", "same", "traced"]


def rewritten(text: str, old: Any, new: Any, origin: Origin) -> str:
    """Return the text of a document with another value.

    `new` is made of parts of `traced(old)`. What an anchor or a merge stands for is not found by
    this; whoever calls it reads the text again.
    """
    page = Page(text, old)
    sources = Sources(page, origin)
    root = page.spots[()]
    if root.braced:
        start, end = root.node.start_mark.index, root.node.end_mark.index
        return text[:start] + Braces(page, sources).written(new, (), ()) + text[end:]
    block = Block(page, sources, set(sources.all(new, (), ())))
    lines = block.map(new, (), (), page.column(()), 0)
    return "\n".join([*lines, *page.lines[page.end(()) :]])
