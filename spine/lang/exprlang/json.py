"""JSON as Go's encoding/json reads and writes it, for values of programs."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from spine.lang import EvaluationError, gojson, govalue
from spine.lang.exprlang.values import AnyMap, Budget, Groups, type_name
from spine.lang.gotime import RFC3339_NANO, Time


def measure(value: Any, budget: Budget) -> None:
    """Use the steps that reading all of a value takes, which may hold one list many times."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        budget.step()
        if one.__class__ is str or one.__class__ is bytes:
            budget.read(one)
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())


def indented(value: Any, indent: str = "") -> str:
    """Return JSON as Go's MarshalIndent with two spaces."""
    deeper = indent + "  "
    if isinstance(value, Groups | AnyMap):
        raise EvaluationError("JSON has no maps with keys that are no texts")
    if isinstance(value, Mapping):
        members = [
            f"{deeper}{compact(key)}: {indented(value[key], deeper)}"
            for key in sorted(value, key=govalue.encode)
        ]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}" if members else "{}"
    if isinstance(value, list):
        items = [deeper + indented(item, deeper) for item in value]
        return "[\n" + ",\n".join(items) + f"\n{indent}]" if items else "[]"
    return compact(value)


def compact(value: Any) -> str:
    """Return JSON as Go's Marshal. Raises EvaluationError."""
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, Mapping):
        if isinstance(value, Groups | AnyMap):
            raise EvaluationError("JSON has no maps with keys that are no texts")
        members = [f"{compact(k)}:{compact(value[k])}" for k in sorted(value, key=govalue.encode)]
        return "{" + ",".join(members) + "}"
    if isinstance(value, bytes):
        return json.dumps(base64.b64encode(value).decode())
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, Time):
        return json.dumps(value.format(RFC3339_NANO))
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationError(f"JSON has no {value}")
    if isinstance(value, str):
        return gojson.quote(govalue.clean(value)).decode()
    if value is None or isinstance(value, bool | float):
        return gojson.dumps(value).decode()
    if isinstance(value, int):
        return str(int(value))
    raise EvaluationError(f"JSON has no {type_name(value)}")


def read_json(source: str | bytes) -> Any:
    """Return JSON with all numbers as floats, as Go reads it. Raises EvaluationError."""
    try:
        return json.loads(source, parse_int=_float, parse_float=_float, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise EvaluationError(f"it is not JSON: {exc}") from None


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.20} is too large")
    return number


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no value")
