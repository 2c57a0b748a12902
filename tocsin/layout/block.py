"""Maps and lists of which each entry has lines of its own."""

from typing import Any

from spine.model import Path
from tocsin.layout.braces import Braces
from tocsin.layout.page import Page, Spot
from tocsin.layout.sources import Sources
from tocsin.layout.tracing import same


class Block:
    """Writes lines: those that the author has, and new ones where something changed."""

    def __init__(self, page: Page, sources: Sources, used: set[Path]) -> None:
        self._page, self._sources, self._used = page, sources, used
        self._braces = Braces(page, sources)

    def map(
        self, new: dict[str, Any], path: Path, source: Path | None, column: int, after: int
    ) -> list[str]:
        """Return the lines of a map; `after` is where the comments of its first key may begin."""
        sources = {key: self._sources.of(path, key, value, source) for key, value in new.items()}
        there = self._page.below(source) if source is not None else []
        here = {found: key for key, found in sources.items() if found in there}
        order: list[str | Path] = [here.get(old, old) for old in there]
        before: str | None = None
        for key in new:
            if key not in order:
                order.insert(order.index(before) + 1 if before is not None else 0, key)
            before = key
        out: list[str] = []
        for entry in order:
            if isinstance(entry, tuple):  # it is here no more
                out += self._left(entry, after, column)
                after = self._page.end(entry)
                continue
            found = sources[entry]
            if found in here:
                assert found is not None
                out += self._shifted(after, self._page.start(found), self._move(found, column))
                after = self._page.end(found)
            elif found is not None:
                out += self._comments_above(found, column)
            out += self._entry(entry, new[entry], path, found, column)
        return out

    def _left(self, old: Path, after: int, column: int) -> list[str]:
        """Return the comments that stay of an entry that goes; those of one that moves go along."""
        if old in self._used:
            return []
        lines = self._shifted(after, self._page.start(old), self._move(old, column))
        return lines if any(line.strip() for line in lines) else []

    def _comments_above(self, source: Path, column: int) -> list[str]:
        page = self._page
        if page.spots[source].inline:
            return []
        end = start = page.start(source)
        while start and page.lines[start - 1].lstrip()[:1] == "#":
            start -= 1
        return self._shifted(start, end, self._move(source, column))

    def _move(self, source: Path, column: int) -> int:
        spot = self._page.spots[source]
        return column - int((spot.key or spot.node).start_mark.column)

    def _shifted(self, start: int, end: int, by: int) -> list[str]:
        return [_shift(line, by) for line in self._page.lines[start:end]]

    def _entry(
        self, key: str, value: Any, path: Path, source: Path | None, column: int
    ) -> list[str]:
        """Return the lines of one key and its value."""
        page, path = self._page, (*path, key)
        spot = page.spots[source] if source is not None else None
        if spot is None or spot.key is None or spot.inline:
            return self._fresh(self._braces.word(key), value, path, source, column)
        assert source is not None
        by = self._move(source, column)
        key_end = int(spot.key.end_mark.column)
        first = page.lines[spot.line]
        name = first[spot.key.start_mark.column : key_end]
        head = " " * column + (name if spot.key.value == key else self._braces.word(key))
        if same(value, spot.value):
            rest = self._shifted(spot.line + 1, page.end(source), by)
            return [head + first[key_end:], *rest]
        if spot.block and value and isinstance(value, type(spot.value)):
            return [head + first[key_end:], *self._below(value, path, source, spot.line + 1, by)]
        if spot.braced and isinstance(value, type(spot.value)):
            between = page.text[spot.key.end_mark.index : spot.node.start_mark.index]
            text = head + between + self._braces.written(value, path, source) + self._tail(spot)
            lines = text.split("\n")
            return [lines[0], *(_shift(line, by) for line in lines[1:])]
        tail = "" if spot.alias or spot.block else self._tail(spot)
        lines = self._fresh(head.lstrip(), value, path, None, column)
        return [lines[0] + tail, *lines[1:]]

    def _tail(self, spot: Spot) -> str:
        """Return what stands behind a value in its line: a comment."""
        mark = spot.node.end_mark
        line = self._page.lines[mark.line] if mark.line < len(self._page.lines) else ""
        rest = line[mark.column :]
        return rest if rest.lstrip()[:1] == "#" and mark.column else ""

    def _below(self, value: Any, path: Path, source: Path, after: int, by: int) -> list[str]:
        """Return the lines of a map or list that stands in lines of its own."""
        column = self._page.column(source) + by
        if isinstance(value, dict):
            return self.map(value, path, source, column, after)
        return self._list(value, path, source, column, after)

    def _fresh(
        self, head: str, value: Any, path: Path, source: Path | None, column: int
    ) -> list[str]:
        """Return lines of something that does not stand in lines of its own so far."""
        margin = " " * column
        if source is not None:  # it is within braces
            text = " ".join(
                part.strip() for part in self._braces.written(value, path, source).split("\n")
            )
            return [f"{margin}{head}: {text}"]
        if isinstance(value, dict) and value:
            return [f"{margin}{head}:", *self.map(value, path, None, column + 2, 0)]
        if isinstance(value, list) and value:
            dash = column + self._page.list_indent
            return [f"{margin}{head}:", *self._list(value, path, None, dash, 0)]
        if isinstance(value, str) and _literal(value):
            return [f"{margin}{head}: |", *(f"{margin}  {x}" for x in value.splitlines())]
        return [f"{margin}{head}: {self._braces.word(value)}"]

    # ------------------------------------------------------------------------ lists

    def _list(
        self, new: list[Any], path: Path, source: Path | None, column: int, after: int
    ) -> list[str]:
        """Return the lines of a list; `column` is that of its dashes."""
        page, out = self._page, []
        for at, value in enumerate(new):
            found = self._sources.of_item(value, at, source)
            if found is None or page.spots[found].inline or found[:-1] != source:
                out += self._dashed(value, (*path, at), found, column)
                continue
            start = page.start(found)
            by = column - page.column(found[:-1])
            out += self._shifted(after, start, by)
            out += self._listed(value, (*path, at), found, column, start)
            after = page.end(found)
        return out

    def _listed(self, value: Any, path: Path, source: Path, column: int, start: int) -> list[str]:
        """Return the lines of an item that stands in a list already."""
        page, spot = self._page, self._page.spots[source]
        by = column - page.column(source[:-1])
        if same(value, spot.value):
            old = page.column(source[:-1])
            first = " " * column + page.lines[start][old:]
            return [first, *self._shifted(start + 1, page.end(source), by)]
        if not (spot.block and value and isinstance(value, type(spot.value))):
            return self._dashed(value, path, source if spot.braced else None, column)
        first_line = page.spots[page.below(source)[0]].line
        if first_line == start:
            return _with_dash(self._below(value, path, source, start, by), column)
        head = _shift(page.lines[start], by)
        return [head, *self._below(value, path, source, start + 1, by)]

    def _dashed(self, value: Any, path: Path, source: Path | None, column: int) -> list[str]:
        """Return the lines of an item that is written anew."""
        if source is not None:
            return [f"{' ' * column}- {self._braces.written(value, path, source)}"]
        if isinstance(value, dict) and value:
            return _with_dash(self.map(value, path, None, column + 2, 0), column)
        return [f"{' ' * column}- {self._braces.word(value)}"]


def _literal(text: str) -> bool:
    """Whether a text of lines can stand in lines of its own, as it is."""
    lines = text.removesuffix("\n").split("\n")
    return text.endswith("\n") and all(x == x.strip() != "" and x.isprintable() for x in lines)


def _shift(line: str, by: int) -> str:
    if not by or not line.strip():
        return line
    if by > 0:
        return " " * by + line
    cut = min(-by, len(line) - len(line.lstrip(" ")))
    return line[cut:]


def _with_dash(lines: list[str], column: int) -> list[str]:
    """Put the dash of an item before the first of its lines that is no comment."""
    at = next(n for n, line in enumerate(lines) if line.strip() and line.lstrip()[0] != "#")
    first = f"{' ' * column}- {lines[at][column + 2 :]}"
    return [*lines[:at], first, *lines[at + 1 :]]
