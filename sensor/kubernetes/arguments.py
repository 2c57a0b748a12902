"""Arguments of the `argo` command, as manifests have them, applied to a Workflow.

Each stands for a change of the object; those that only tell the command how to print or wait
mean nothing here, and are said so. Source: the public documentation of `argo submit`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from spine.errors import ConfigError

Workflow = dict[str, Any]
Change = Callable[[Workflow], None]


def compile_arguments(operation: str, words: Sequence[str]) -> Change:
    """Return what a list of arguments changes. Raises ConfigError for one that is not known."""
    changes: list[Change] = []
    for option, value in _pairs(operation, words):
        changes.append(_CHANGES[option](value))

    def change(workflow: Workflow) -> None:
        for one in changes:
            one(workflow)

    return change


def _pairs(operation: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield options in their long form with their values."""
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            raise _unknown(operation, word, "it is no option")
        option, equals, value = word.partition("=")
        if not option.startswith("--") and len(option) > 2:  # noqa: PLR2004 -- -pNAME=VALUE
            option, value, equals = word[:2], word[2:], "="
        option = _SHORT.get(option, option)
        if option in _NO_EFFECT:
            if not equals and option in _NO_EFFECT_VALUES and left:
                left.pop(0)
            continue
        if option not in _CHANGES or operation not in _OPERATIONS:
            raise _unknown(operation, word, "it means nothing here")
        if not equals:
            if not left:
                raise _unknown(operation, word, "its value is missing")
            value = left.pop(0)
        yield option, value


def _unknown(operation: str, word: str, why: str) -> ConfigError:
    known = ", ".join(sorted(_CHANGES)) if operation in _OPERATIONS else "none"
    return ConfigError(f"reading args {word!r} of {operation}: {why}", hint=f"known are {known}")


def _parameter(value: str) -> Change:
    name, equals, text = value.partition("=")
    if not equals:
        raise ConfigError(f"reading args --parameter {value!r}: write NAME=VALUE")
    return lambda workflow: set_parameter(workflow, name, text)


def set_parameter(workflow: Workflow, name: str, value: str) -> None:
    """Set an argument of a Workflow."""
    arguments = _part(_part(workflow, "spec"), "arguments")
    parameters = arguments.setdefault("parameters", [])
    for one in parameters:
        if one.get("name") == name:
            one.pop("valueFrom", None)
            one["value"] = value
            return
    parameters.append({"name": name, "value": value})


def _part(of: dict[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(of.get(key), dict):
        of[key] = {}
    part: dict[str, Any] = of[key]
    return part


def _in_spec(key: str) -> Callable[[str], Change]:
    def compiled(value: str) -> Change:
        return lambda workflow: _part(workflow, "spec").update({key: value})

    return compiled


def _priority(value: str) -> Change:
    try:
        number = int(value)
    except ValueError:
        raise ConfigError(f"reading args --priority {value!r}: it is no whole number") from None
    return lambda workflow: _part(workflow, "spec").update({"priority": number})


def _in_metadata(key: str, other: str) -> Callable[[str], Change]:
    def compiled(value: str) -> Change:
        def change(workflow: Workflow) -> None:
            metadata = _part(workflow, "metadata")
            metadata.pop(other, None)
            metadata[key] = value

        return change

    return compiled


def _labels(value: str) -> Change:
    pairs = dict(one.split("=", 1) for one in value.split(",") if "=" in one)
    if not pairs:
        raise ConfigError(f"reading args --labels {value!r}: write NAME=VALUE,NAME=VALUE")
    return lambda workflow: _part(_part(workflow, "metadata"), "labels").update(pairs)


def _instance(value: str) -> Change:
    return _labels(f"workflows.argoproj.io/controller-instanceid={value}")


def _annotations(value: str) -> Change:
    pairs = dict(one.split("=", 1) for one in value.split(",") if "=" in one)
    return lambda workflow: _part(_part(workflow, "metadata"), "annotations").update(pairs)


_CHANGES: dict[str, Callable[[str], Change]] = {
    "--parameter": _parameter,
    "--entrypoint": _in_spec("entrypoint"),
    "--serviceaccount": _in_spec("serviceAccountName"),
    "--priority": _priority,
    "--name": _in_metadata("name", "generateName"),
    "--generate-name": _in_metadata("generateName", "name"),
    "--labels": _labels,
    "--annotation": _annotations,
    "--instanceid": _instance,
}
_SHORT = {"-p": "--parameter", "-l": "--labels", "-o": "--output", "-w": "--watch"}
_NO_EFFECT = frozenset(
    {"--output", "--watch", "--wait", "--log", "--strict", "--status", "--verbose", "--loglevel"}
)
"""What tells the command how to print or wait."""
_NO_EFFECT_VALUES = frozenset({"--output", "--status", "--loglevel"})
_OPERATIONS = frozenset({"submit", "submit-from", "resubmit"})
"""Operations that make a Workflow, which arguments can change."""


def copied(made: Workflow) -> Workflow:
    """Return a copy that may be changed."""
    found: Workflow = orjson.loads(orjson.dumps(made))
    return found
