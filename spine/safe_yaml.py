"""YAML of others, read into plain values with the meaning of PyYAML's safe loader, and a bound.

A few lines of maps that are merged into each other make billions of entries. Lists and maps that
are repeated by an alias cost nothing here, as they stay one value; who writes them out counts.
"""

from typing import Any

import yaml
from typing_extensions import override

_MERGE = "tag:yaml.org,2002:merge"
MAX_MERGED = 100_000
"""Entries that merges may add to the maps of one text."""


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with bounded merges. Raises YAMLError for what is beyond."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._merged = 0

    @override
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.tag == _MERGE:
                several = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for one in several:
                    self._count(one)
        super().flatten_mapping(node)

    def _count(self, node: yaml.Node) -> None:
        """Count what merging a map adds, before it is done."""
        if isinstance(node, yaml.MappingNode):
            self._merged += 1 + len(node.value)
            if self._merged > MAX_MERGED:
                raise yaml.constructor.ConstructorError(
                    None, None, f"merges make more than {MAX_MERGED} entries", node.start_mark
                )
            self.flatten_mapping(node)


def load(text: str | bytes) -> Any:
    """Return the value of a text of one document. Raises yaml.YAMLError."""
    try:
        return yaml.load(text, Loader)  # noqa: S506 -- it is the safe one
    except RecursionError as exc:
        raise yaml.YAMLError("nested too deeply") from exc
