"""What an API server does with an object under a structural schema.

`from crd_kit import accepts`.
"""

import re
from typing import Any


def accepts(schema: dict[str, Any], value: Any) -> bool:  # noqa: PLR0911 -- one for each kind of schema
    """A Kubernetes structural schema, as far as we write it; the rules in CEL are left out."""
    if value is None:
        return bool(schema.get("nullable")) or "type" not in schema
    if value not in schema.get("enum", [value]):
        return False
    if "pattern" in schema and not (isinstance(value, str) and re.search(schema["pattern"], value)):
        return False
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict):
            return False
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            inner = known.get(key, rest)
            if inner is None:
                if not schema.get("x-kubernetes-preserve-unknown-fields"):
                    return False  # it would be dropped
            elif item is None and "enum" in inner and "nullable" not in inner:
                continue  # it is dropped, and means nothing
            elif not accepts(inner, item):
                return False
        return True
    if kind == "array":
        few = isinstance(value, list) and len(value) < schema.get("minItems", 0)
        return (
            isinstance(value, list) and not few and all(accepts(schema["items"], v) for v in value)
        )
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        bounds = schema.get("minimum", value), schema.get("maximum", value)
        return type(value) is int and bounds[0] <= value <= bounds[1]
    assert kind is None, schema
    return schema["x-kubernetes-preserve-unknown-fields"] is True
