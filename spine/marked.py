"""YAML and JSON read into plain values, with the line and column of everything.

Plain scalars are read as Kubernetes reads them (YAML 1.1 words such as `on` are booleans, dates
stay text, `1e3` is a number), so that what is checked is what a cluster would store.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from spine.model import Path

MAX_NODES = 500_000
"""Values in one document, aliases written out; a few lines of nested aliases can make billions."""

MAX_DEPTH = 1_000
"""Maps and lists inside of each other; the parser in C overruns its stack at some ten thousand."""

MAX_REPEATED = 100
"""Keys of one document that may stand more than once, where that is allowed."""


class Malformed(Exception):
    """A text that is not YAML, or YAML that cannot be a manifest; lines and columns from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line, self.column = line, column


@dataclass(slots=True)
class Document:
    """One document of a file."""

    value: Any = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Line and column of every key and item, by path."""
    words: dict[Path, str] = field(default_factory=dict)
    """Booleans written as a word such as `on`, by path."""
    repeated: list[Path] = field(default_factory=list)
    """Keys that stand more than once, where that is allowed."""
    texts: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Line and column at which the text of a literal block (`key: |`) begins, by path."""


if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """Resolves plain scalars by the rules that kubectl has."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_TAG = "tag:yaml.org,2002:"
_TRUE = ("y", "yes", "on", "true")
_FALSE = ("n", "no", "off", "false")
_CASES = [form for word in _TRUE + _FALSE for form in (word, word.capitalize(), word.upper())]
_RULES: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", "|".join(dict.fromkeys(_CASES)), "yYnNtTfFoO"),
    ("int", r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", "<<", "<"),
)
for _tag, _pattern, _first in _RULES:
    _Loader.add_implicit_resolver(
        _TAG + _tag, re.compile(f"(?:{_pattern})\\Z"), ["" if c == "\0" else c for c in _first]
    )


_PAIR = re.compile(r"(?<!\\)\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)")


def _whole(pair: re.Match[str]) -> str:
    high, low = int(pair[1], 16) - 0xD800, int(pair[2], 16) - 0xDC00
    return f"\\U{0x10000 + high * 0x400 + low:08x}"


def documents(text: str, *, is_json: bool = False, last_wins: bool = False) -> Iterator[Document]:
    """Yield the documents of a text. Raises Malformed, with those before it yielded.

    `last_wins` allows keys to stand more than once; of those the last one counts.
    """
    if is_json or text.lstrip()[:1] == "{":
        text = text.replace("\t", " ")  # JSON may be indented by tabs, YAML may not
        text = _PAIR.sub(_whole, text)  # and it writes the characters above U+FFFF as two
    loader = None
    try:
        _check_depth(text)
        loader = _Loader(text)
        while loader.check_node():
            document = Document()
            builder = _Builder(document, text, last_wins=last_wins)
            document.value = builder.build(loader.get_node(), ())
            yield document
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        number = exc.character if isinstance(exc.character, int) else ord(exc.character)
        raise Malformed(f"character U+{number:04X} is not allowed in YAML", line) from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Malformed(_explain(exc, text), *at) from exc
    except RecursionError as exc:
        raise Malformed("nested too deeply") from exc
    finally:
        if loader is not None:
            loader.dispose()


def _check_depth(text: str) -> None:
    """Raise Malformed for a text whose nesting cannot be composed; errors are left to others."""
    if len(text) < MAX_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                assert mark is not None
                why = f"nested too deeply: more than {MAX_DEPTH} maps and lists in each other"
                raise Malformed(why, mark.line + 1, mark.column + 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _bad(node: yaml.Node, message: str) -> Malformed:
    return Malformed(message, node.start_mark.line + 1, node.start_mark.column + 1)


_HINTS = (
    ("',' or '", "close the bracket that begins in line {}, and put commas between its items"),
    ("unexpected end of stream", "close the quote that begins in line {}"),
    (
        "could not find expected ':'",
        "line {} is neither a key nor part of a text: check its indentation",
    ),
    ("did not find expected key", "check the indentation of this line, and the quotes in it"),
    (
        "expected '-' indicator",
        "a key cannot stand beside the items of a list: check the indentation",
    ),
    ("expected node content", "a bracket or a comma is left over, or a bracket is not closed"),
    ("unknown escape character", "write two backslashes for one, or use single quotes"),
)
"""What helps, by a part of the parser's words; `{}` is the line in which it began."""


def _explain(exc: yaml.MarkedYAMLError, text: str) -> str:
    problem = (exc.problem or "cannot be read").strip()
    context = f"{exc.context.strip()}: " if exc.context else ""
    began = exc.context_mark or exc.problem_mark
    since = began.line + 1 if began is not None else 1
    hint = next((f" ({way.format(since)})" for words, way in _HINTS if words in problem), "")
    mark = exc.problem_mark
    if mark is not None:
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            hint = " (indent with spaces: YAML takes no tabs)"
        elif "mapping values are not allowed" in problem:
            hint = " (put a text that contains ': ' in quotes, and check the indentation)"
        elif re.search(r":\s+[@`%{*&!|>]", line):
            hint = " (put a text that begins with a special character in quotes)"
    return f"not YAML: {context}{problem}{hint}"


class _Builder:
    """Makes plain values of the nodes of one document and notes where they stand."""

    def __init__(self, document: Document, text: str, *, last_wins: bool) -> None:
        self._document, self._last_wins = document, last_wins
        self._text, self._lines = text, list[str]()
        self._nodes = 0

    def build(self, node: yaml.Node | None, path: Path) -> Any:
        if node is None:
            return None
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _bad(node, f"more than {MAX_NODES} values in one document")
        mark = node.start_mark
        self._document.positions.setdefault(path, (mark.line + 1, mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            self._document.texts[path] = self._begins(node)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merged: list[yaml.MappingNode] = []
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged += self._merged(value_node)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _bad(key_node, "a key must be a text")
            key = str(key_node.value)
            if key in out and not self._last_wins:
                where = self._document.positions[(*path, key)][0]
                raise _bad(key_node, f"key {key!r} stands twice (first in line {where})")
            if key in out:
                self._forget(key_node, (*path, key))
            mark = key_node.start_mark
            self._document.positions[(*path, key)] = (mark.line + 1, mark.column + 1)
            out[key] = self.build(value_node, (*path, key))
        for other in merged:
            self._nodes += 1 + len(other.value)
            if self._nodes > MAX_NODES:
                raise _bad(other, f"more than {MAX_NODES} values in one document")
            for key, value in self._mapping(other, path).items():
                out.setdefault(key, value)
        return out

    def _forget(self, node: yaml.Node, path: Path) -> None:
        """Forget a value that is followed by another one for the same key."""
        document, depth = self._document, len(path)
        if len(document.repeated) >= MAX_REPEATED:
            raise _bad(node, f"more than {MAX_REPEATED} keys stand twice")
        document.repeated.append(path)
        document.positions = {k: v for k, v in document.positions.items() if k[:depth] != path}
        document.words = {k: v for k, v in document.words.items() if k[:depth] != path}
        document.texts = {k: v for k, v in document.texts.items() if k[:depth] != path}

    @staticmethod
    def _merged(node: yaml.Node) -> list[yaml.MappingNode]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for one in nodes:
            if not isinstance(one, yaml.MappingNode):
                raise _bad(one, "<< takes a map, or a list of maps")
        return list(nodes)

    def _begins(self, node: yaml.Node) -> tuple[int, int]:
        """Return where the text of a literal block begins."""
        if not self._lines:
            self._lines = self._text.split("\n")
        first = node.start_mark.line + 1
        filled = (line for line in self._lines[first:] if line.strip())
        line = next(filled, "")
        return first + 1, len(line) - len(line.lstrip(" ")) + 1

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text, tag = str(node.value), node.tag.removeprefix(_TAG)
        try:
            if tag == "null":
                return None
            if tag == "bool":
                if text.lower() not in {"true", "false"}:
                    self._document.words[path] = text
                return text.lower() in _TRUE
            if tag == "int":
                return _integer(text)
            if tag == "float":
                return _number(text)
        except ValueError as exc:
            raise _bad(node, f"{text!r}: {exc}") from exc
        if tag in {"str", "timestamp", "binary", "merge"}:
            return text
        raise _bad(node, f"unknown tag {node.tag!r} (put a text that begins with ! in quotes)")


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    body = digits.lstrip("+-")
    if len(body) > 1 and body.startswith("0") and body.isdigit():
        if set(body) - set("01234567"):
            return int(digits)  # 08 and 09 are decimal to everybody
        return int(digits, 8)
    return int(digits, 0)


def _number(text: str) -> float:
    value = float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
                  .replace(".Inf", "inf").replace(".NaN", "nan")
                  .replace(".INF", "inf").replace(".NAN", "nan"))  # fmt: skip
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 -- only NaN differs from itself
        raise ValueError("JSON has no such number")
    return value
