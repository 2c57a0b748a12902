"""A text of one document, and where everything stands in it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from spine.model import Path


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value stands in the text."""

    node: yaml.Node
    value: Any
    key: yaml.ScalarNode | None = None
    """Its key; None for items of lists."""
    inline: bool = False
    """Whether it is inside of braces or brackets."""
    alias: bool = False
    """Whether it is only a name for something that stands elsewhere."""

    @property
    def block(self) -> bool:
        """Whether it is a map or a list of which each entry has lines of its own."""
        return isinstance(self.node, yaml.CollectionNode) and not (
            self.node.flow_style or self.alias
        )

    @property
    def braced(self) -> bool:
        """Whether it is a map or a list in braces."""
        return isinstance(self.node, yaml.CollectionNode) and not (self.block or self.alias)

    @property
    def line(self) -> int:
        """Line of its key."""
        return int((self.key or self.node).start_mark.line)


class Page:
    """A text of one document and where everything stands in it."""

    def __init__(self, text: str, value: Any) -> None:
        self.text, self.lines = text, text.split("\n")
        self.spots: dict[Path, Spot] = {}
        root = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
        if root is not None:
            self._visit(Spot(root, value), ())

    def _visit(self, spot: Spot, path: Path) -> None:
        self.spots[path] = spot
        node = spot.node
        inline = spot.inline or bool(getattr(node, "flow_style", False))
        if spot.alias:
            return
        if isinstance(node, yaml.MappingNode):
            for key, inner in node.value:
                name = str(key.value)
                if name in spot.value and isinstance(key, yaml.ScalarNode) and name != "<<":
                    alias = inner.start_mark.index < key.end_mark.index
                    self._visit(Spot(inner, spot.value[name], key, inline, alias), (*path, name))
        elif isinstance(node, yaml.SequenceNode):
            last = node.start_mark.index
            for at, inner in enumerate(node.value):
                alias = inner.start_mark.index < last
                last = last if alias else inner.end_mark.index
                self._visit(Spot(inner, spot.value[at], None, inline, alias), (*path, at))

    def below(self, path: Path) -> list[Path]:
        """Return the paths of the entries of a map or list, in the order of the text."""
        value = self.spots[path].value
        steps = value if isinstance(value, dict) else range(len(value))
        found = [(*path, step) for step in steps if (*path, step) in self.spots]
        return sorted(found, key=self._order)

    def _order(self, path: Path) -> Any:
        key = self.spots[path].key
        return path[-1] if key is None else key.start_mark.index

    def end(self, path: Path) -> int:
        """Return the line after the last that belongs to an entry."""
        spot = self.spots[path]
        if spot.alias:
            return spot.line + 1 if spot.key else self._dash(path) + 1
        if spot.block and (inner := self.below(path)):
            return max(self.end(one) for one in inner)
        mark = spot.node.end_mark
        if isinstance(spot.node, yaml.ScalarNode) and spot.node.style in {"|", ">"}:
            end = int(mark.line) + (mark.column > 0)
            while end > spot.line + 1 and not self.lines[end - 1].strip():
                end -= 1
            return end
        return int(mark.line) + 1

    def _dash(self, path: Path) -> int:
        """Return the line of the dash of an item."""
        column = self.column(path[:-1])
        at = path[-1]
        assert isinstance(at, int)
        start = self.end((*path[:-1], at - 1)) if at else self.spots[path[:-1]].node.start_mark.line
        line = int(start)
        while self.lines[line][column : column + 2].strip() != "-":
            line += 1
        return line

    def column(self, path: Path) -> int:
        """Return the column of the keys or dashes of a map or list in lines of its own."""
        spot = self.spots[path]
        if isinstance(spot.node, yaml.MappingNode):
            return min(int(self.spots[one].key.start_mark.column) for one in self.below(path))  # type: ignore[union-attr]  # entries of maps have keys
        start = spot.node.start_mark
        line = int(start.line)
        if self.lines[line][start.column] == "-":
            return int(start.column)
        while self.lines[line].lstrip(" ")[:1] != "-":  # behind the name of an anchor
            line += 1
        return len(self.lines[line]) - len(self.lines[line].lstrip(" "))

    def start(self, path: Path) -> int:
        """Return the line in which an entry begins."""
        spot = self.spots[path]
        return spot.line if spot.key else self._dash(path)

    @cached_property
    def quoted(self) -> bool:
        """Whether it is JSON: every text in double quotes."""
        root = self.spots[()].node
        return self.spots[()].braced and any(key.style == '"' for key, _ in root.value)

    @cached_property
    def list_indent(self) -> int:
        """Columns from a key to the dashes of its list, as the author has it elsewhere."""
        for path, spot in self.spots.items():
            if spot.key is not None and spot.block and isinstance(spot.node, yaml.SequenceNode):
                return self.column(path) - int(spot.key.start_mark.column)
        return 2
