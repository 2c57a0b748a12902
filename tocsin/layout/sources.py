"""Where each part of a new value stands in the old text."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spine.model import Path
from tocsin.layout.page import Page
from tocsin.layout.tracing import List, Map

Origin = Callable[[Path], Path]
"""Says where the author wrote what stands at a path now."""


class Sources:
    """Finds the parts of a new value on a page."""

    def __init__(self, page: Page, origin: Origin) -> None:
        self._page, self._origin = page, origin

    def of(self, path: Path, key: str, value: Any, parent: Path | None) -> Path | None:
        """Return where an entry of the new value stands in the text; None: nowhere."""
        spots = self._page.spots
        if isinstance(value, Map | List):
            return value.origin if value.origin in spots else None
        if parent is not None and (*parent, key) in spots:
            return (*parent, key)
        found = self._origin((*path, key))
        if parent is not None and found[:-1] == path:  # it has another name in the same map
            found = (*parent, found[-1])
        return found if found in spots else None

    def all(self, value: Any, path: Path, source: Path | None) -> Iterator[Path]:
        """Yield where everything of the new value stands in the text."""
        entries: Sequence[tuple[Any, Any, Path | None]] = ()
        if isinstance(value, dict):
            entries = [(k, v, self.of(path, k, v, source)) for k, v in value.items()]
        elif isinstance(value, list):
            entries = [(at, v, self.of_item(v, at, source)) for at, v in enumerate(value)]
        for key, item, found in entries:
            if found is not None:
                yield found
            yield from self.all(item, (*path, key), found)

    def of_item(self, value: Any, at: int, source: Path | None) -> Path | None:
        """Return where an item of a new list stands in the text; None: nowhere."""
        if isinstance(value, Map | List):
            return value.origin if value.origin in self._page.spots else None
        found = (*source, at) if source is not None else None
        return found if found in self._page.spots else None
