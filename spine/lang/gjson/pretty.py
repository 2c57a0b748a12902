"""JSON text laid out for reading: one member a line, short arrays on one line."""

from collections.abc import Mapping

from spine.lang.gjson import scan
from spine.lang.gjson.document import Result, parse, unquote

_WIDTH = 80


def pretty(text: bytes, options: Mapping[str, object]) -> bytes:
    """Return the layout that the options `sortKeys`, `indent`, `prefix` and `width` ask for."""
    value = parse(text)
    if value is None:
        return b""
    width = options.get("width", _WIDTH)
    layout = _Layout(
        _blank(options.get("indent", "  ")),
        _blank(options.get("prefix", "")),
        int(width) if isinstance(width, int | float) else 0,
        sort=options.get("sortKeys") is True,
    )
    out = layout.value(value, 0, 0)
    return (layout.prefix + out + "\n").encode()


def _blank(option: object) -> str:
    """Return the white space in an option; the rest of it would break the text."""
    return "".join(char for char in str(option) if char in " \t\r\n")


class _Layout:
    def __init__(self, indent: str, prefix: str, width: int, *, sort: bool) -> None:
        self.indent, self.prefix, self.width, self.sort = indent, prefix, width, sort

    def value(self, value: Result, depth: int, before: int) -> str:
        if value.is_object:
            return self._object(value, depth)
        if value.is_array:
            line = self._line(value, self.width - before)
            return self._array(value, depth) if line is None else line
        return value.raw

    def _object(self, value: Result, depth: int) -> str:
        data = value.data
        pairs = [(data[slice(*key)], data[slice(*item)]) for key, item in scan.members(data)]
        if self.sort:
            pairs.sort(key=lambda pair: unquote(pair[0]))
        rows = []
        for key, item in pairs:
            head = key.decode("utf-8", "replace") + ": "
            before = len(self._margin(depth + 1)) + len(key) + 3
            rows.append(head + self.value(Result(item), depth + 1, before))
        return self._block("{", rows, "}", depth)

    def _array(self, value: Result, depth: int) -> str:
        rows = [
            self.value(item, depth + 1, len(self._margin(depth + 1)) + 1)
            for item in value.elements()
        ]
        return self._block("[", rows, "]", depth)

    def _block(self, opening: str, rows: list[str], end: str, depth: int) -> str:
        if not rows:
            return opening + end
        margin = self._margin(depth + 1)
        body = ",\n".join(margin + row for row in rows)
        return f"{opening}\n{body}\n{self._margin(depth)}{end}"

    def _margin(self, depth: int) -> str:
        return self.prefix + self.indent * depth

    def _line(self, value: Result, room: int) -> str | None:
        """Return an array on one line, None if an object is in it or it needs more room."""
        parts = []
        for item in value.elements():
            if item.is_object:
                return None
            part = self._line(item, room) if item.is_array else item.raw
            if part is None:
                return None
            parts.append(part)
            room -= len(part.encode()) + 2
            if room < 0:
                return None
        return f"[{', '.join(parts)}]"
