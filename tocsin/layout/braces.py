"""Values within braces and brackets, and words: what stands in a line, with all of JSON."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import yaml

from spine.marked import Malformed, documents
from spine.model import Path
from tocsin.layout.page import Page
from tocsin.layout.sources import Sources
from tocsin.layout.tracing import same


class Braces:
    """Writes what stands in a line, with what the author has between the entries."""

    def __init__(self, page: Page, sources: Sources) -> None:
        self._page, self._sources = page, sources

    def written(self, value: Any, path: Path, source: Path | None) -> str:
        """Return a value as it stands within braces."""
        page = self._page
        spot = page.spots[source] if source is not None else None
        if spot is not None and not spot.block and not spot.alias and same(value, spot.value):
            return page.text[spot.node.start_mark.index : spot.node.end_mark.index]
        if not isinstance(value, dict | list) or not value:
            return self.word(value)
        if spot is None or source is None or not spot.braced or not spot.value:
            return self._fresh(value, path, source)
        return self._changed(value, path, source)

    def _fresh(self, value: Any, path: Path, source: Path | None) -> str:
        if isinstance(value, list):
            items = (self.written(v, (*path, n), self._sources.of_item(v, n, source))
                     for n, v in enumerate(value))  # fmt: skip
            return f"[{', '.join(items)}]"
        entries = (
            f"{self.word(k)}: {self.written(v, (*path, k), self._sources.of(path, k, v, source))}"
            for k, v in value.items()
        )
        return f"{{{', '.join(entries)}}}"

    def _changed(self, value: Any, path: Path, source: Path) -> str:
        """Return a map or list in braces with what is between its entries kept."""
        page = self._page
        text, there = page.text, page.below(source)
        spans = [self._span(one) for one in there]
        node = page.spots[source].node
        head = text[node.start_mark.index : spans[0][0]]
        tail = text[spans[-1][1] : node.end_mark.index]
        gaps = [text[one[1] : next_[0]] for one, next_ in pairwise(spans)]
        usual = gaps[-1] if gaps and "#" not in gaps[-1] else ", "
        gap_of = dict(zip(there[1:], gaps, strict=True))
        parts: list[str] = []
        for written, found in self._entries(value, path, source):
            parts += [gap_of.get(found, usual) if found else usual] if parts else []
            parts.append(written)
        return head + "".join(parts) + tail

    def _span(self, path: Path) -> tuple[int, int]:
        spot = self._page.spots[path]
        start = (spot.key or spot.node).start_mark.index
        return start, max(spot.node.end_mark.index, spot.key.end_mark.index if spot.key else 0)

    def _entries(self, value: Any, path: Path, source: Path) -> Iterator[tuple[str, Path | None]]:
        """Yield the text of each entry and where it stood among these braces."""
        if isinstance(value, list):
            for at, item in enumerate(value):
                found = self._sources.of_item(item, at, source)
                yield self.written(item, (*path, at), found), found
            return
        sources = {key: self._sources.of(path, key, item, source) for key, item in value.items()}
        there = self._page.below(source)
        rank = {old: at for at, old in enumerate(there)}
        last = len(there)
        for key in sorted(value, key=lambda k: rank.get(sources[k] or (), last)):
            found = sources[key]
            text = self.written(value[key], (*path, key), found)
            if found in rank:
                spot = self._page.spots[found]
                assert spot.key is not None
                name = self._page.text[spot.key.start_mark.index : spot.key.end_mark.index]
                between = self._page.text[spot.key.end_mark.index : spot.node.start_mark.index]
                same_name = spot.key.value == key
                yield f"{name if same_name else self.word(key)}{between or ': '}{text}", found
            else:
                yield f"{self.word(key)}: {text}", None

    def word(self, value: Any) -> str:
        """Return a scalar, or an empty map or list, so that YAML reads it as what it is."""
        if not isinstance(value, str) or self._page.quoted:
            return json.dumps(value, ensure_ascii=False)
        text = yaml.safe_dump(value, allow_unicode=True, width=2**31).removesuffix("...\n").rstrip()
        return text if "\n" not in text and _read_back(text) == value else json.dumps(value)


def _read_back(word: str) -> Any:
    """Return what a word is within brackets; None where it is not one."""
    try:
        ((found,),) = next(documents(f"- [{word}]\n")).value
    except (Malformed, ValueError):
        return None
    return found
