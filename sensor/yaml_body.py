"""Bodies of events that are YAML, turned into JSON as Argo Events' YAML library reads them.

That library follows YAML 1.1: `yes` and `y` are true, `017` is octal, keys become texts; but
dates stay texts, sexagesimal numbers are unknown, and of equal keys the last one wins.
"""

import base64
import re
from collections.abc import Hashable
from typing import Any

import yaml
from typing_extensions import override

from spine import safe_yaml
from spine.lang import EvaluationError, gojson

MAX_VALUES = 500_000
"""Values in one document, aliases written out."""

_BOOLEANS = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
}
_INT = re.compile(r"[-+]?(0b[01]+|0x[0-9a-fA-F]+|0o[0-7]+|\d+)")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")


class _Loader(safe_yaml.Loader):
    """PyYAML's safe loader with the scalars and keys of the peer's library."""

    yaml_implicit_resolvers: Any = {}

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        out: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            out[_key(key)] = self.construct_object(value_node, deep=True)
        return out


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return gojson.dumps(value).decode()
    raise ValueError(f"key {value!r} cannot be a key of JSON")


def _scalar(_: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    return node.value if node.style is not None else _plain(node.value)


def _plain(text: str) -> Any:
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    bare = text.replace("_", "")
    if match := _INT.fullmatch(bare):
        return _integer(bare, match[1])
    return float(bare) if _FLOAT.fullmatch(bare) else text


def _integer(text: str, digits: str) -> int | float:
    sign = -1 if text.startswith("-") else 1
    if digits[:2] in {"0b", "0x", "0o"}:
        return sign * int(digits, 0)
    if digits.startswith("0") and digits.isdigit() and not set(digits) & {"8", "9"}:
        return sign * int(digits, 8)
    value = sign * int(digits)
    return value if -(2**63) <= value < 2**64 else float(value)


def _binary(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return base64.b64decode("".join(node.value.split())).decode(errors="replace")


_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)
_Loader.add_constructor("tag:yaml.org,2002:binary", _binary)
# every plain scalar resolves to str above; only the merge key must keep its meaning
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("<<"), ["<"])


def to_json(body: bytes) -> bytes:
    """Return the first document of a text as JSON.

    Raises ValueError for what is no YAML or no JSON either.
    """
    try:
        value = _first(body)
        _count(value, {})
        return gojson.dumps(value)
    except (yaml.YAMLError, RecursionError, TypeError, EvaluationError) as exc:
        raise ValueError(" ".join(str(exc).split())) from exc


def _first(body: bytes) -> Any:
    for value in yaml.load_all(body, Loader=_Loader):
        return value
    return None


def _count(value: Any, known: dict[int, int]) -> int:
    """Return the number of values with aliases written out, which a few lines can make billions."""
    if not isinstance(value, dict | list):
        return 1
    size = known.get(id(value))
    if size is None:
        known[id(value)] = 0  # until it is known
        inner = value.values() if isinstance(value, dict) else value
        size = known[id(value)] = 1 + sum(_count(item, known) for item in inner)
    if size == 0:
        raise ValueError("an alias stands inside of what it names")
    if size > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values, aliases written out")
    return size
