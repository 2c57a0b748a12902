"""Which objects of a kind count: by name, labels, fields, and age.

Labels are left to the API server. What the metadata tells is asked first, and a body is only
read where a field of it is asked for.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from spine.errors import ConfigError
from spine.lang import EvaluationError, gjson, paths, slips
from spine.lang.gjson import Document
from spine.model import Model, warn, warn_of

Passes = Callable[["Facts", Document], bool]
"""Tells whether an object counts."""


class Facts:
    """What is asked of the metadata of an object."""

    __slots__ = ("created", "event_time", "name")

    def __init__(self, name: str, created: str | None, event_time: Callable[[], datetime]) -> None:
        self.name, self.created, self.event_time = name, created, event_time


class LabelSelector(Model):
    """A condition on a label, left to the API server."""

    key: Annotated[str, Field(min_length=1)]
    """Name of the label."""
    operation: Literal["", "=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"] = ""
    """How it is compared; empty is `=`."""
    value: str = ""
    """Value; several of `in` and `notin` are separated by commas."""

    @model_validator(mode="after")
    def _fits(self) -> "LabelSelector":
        if self.operation in {"exists", "!"} and self.value:
            raise ValueError(f"value: {self.operation} takes none")
        if self.operation in {"gt", "lt"} and not self.value.lstrip("-").isdecimal():
            raise ValueError(
                f"value: {self.value!r} is no whole number, which {self.operation} needs"
            )
        if self.operation in {"in", "notin"} and not self.value:
            raise ValueError(f"value: {self.operation} needs at least one")
        return self

    def render(self) -> str:
        """Return it as the API takes it."""
        values = [one.strip() for one in self.value.split(",")]
        match self.operation:
            case "in" | "notin":
                return f"{self.key} {self.operation} ({','.join(values)})"
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operation == 'gt' else '<'}{self.value}"
            case "!=":
                return f"{self.key}!={self.value}"
        return f"{self.key}={self.value}"


class FieldSelector(Model):
    """A condition on a value in the object."""

    key: Annotated[str, Field(min_length=1)]
    """gjson path in the object, such as `metadata.annotations.example\\.com/host`."""
    operation: Literal["", "=", "==", "!="] = ""
    """How it is compared; empty is `==`. What is missing never counts, for `!=` neither."""
    value: str = ""
    """A regular expression (RE2) that is searched for in texts; numbers and booleans are compared
    as such."""

    @model_validator(mode="after")
    def _slip(self) -> "FieldSelector":
        warn_of("key", slips.of_path(self.key))
        return self

    def compile(self) -> Callable[[Document], bool]:
        """Compile it. Raises ConfigError."""
        get, matches = paths.compile(self.key).get, _match(self.value)
        wanted = self.operation != "!="

        def passes(document: Document) -> bool:
            try:
                found = get(document)
            except EvaluationError:
                return False
            return found is not None and matches(found) is wanted

        return passes


def _match(value: str) -> Callable[[gjson.Result], bool]:
    from spine.lang import regex

    search = regex.compile(value).search
    number = _number(value)

    def matches(found: gjson.Result) -> bool:
        match found.kind:
            case gjson.Kind.STRING:
                return bool(search(found.text))
            case gjson.Kind.NUMBER:
                return found.number == number if number is not None else value == found.text
            case gjson.Kind.TRUE | gjson.Kind.FALSE:
                return found.text == value
        return value == ""  # null and what has parts compare as nothing, as with Argo Events

    return matches


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class ResourceFilter(Model):
    """Which objects count; all conditions must hold."""

    prefix: str = ""
    """What their names begin with."""
    labels: list[LabelSelector] = []
    """Conditions on their labels."""
    fields: list[FieldSelector] = []
    """Conditions on their values."""
    created_by: str = ""
    """Moment (RFC 3339) by which they were created."""
    after_start: bool = False
    """Whether only what happens after the start counts."""

    @field_validator("created_by")
    @classmethod
    def _moment(cls, text: str) -> str:
        if text:
            try:
                moment(text)
            except ValueError:
                raise ValueError(f"{text!r} is no time (write 2026-01-31T00:00:00Z)") from None
        return text

    @model_validator(mode="after")
    def _compiles(self) -> "ResourceFilter":
        for at, field in enumerate(self.fields):
            try:
                field.compile()
            except ConfigError as exc:
                raise ValueError(f"fields[{at}]: {exc}") from exc
            if not field.operation:
                warn(
                    f"fields[{at}].operation: is taken as ==; Argo Events rejects every event then"
                )
        return self

    @property
    def selector(self) -> str:
        """What is asked of the API server."""
        return ",".join(label.render() for label in self.labels)

    def compile(self, started: datetime) -> Passes:
        """Return what tells whether an object counts."""
        fields = [field.compile() for field in self.fields]
        prefix = self.prefix
        created_by = moment(self.created_by) if self.created_by else None
        after = started.replace(microsecond=0) if self.after_start else None

        def passes(facts: Facts, document: Document) -> bool:
            if prefix and not facts.name.startswith(prefix):
                return False
            if after is not None and facts.event_time() < after:
                return False
            if created_by is not None and moment(facts.created or "") > created_by:
                return False
            return all(field(document) for field in fields)

        return passes


def moment(text: str) -> datetime:
    """Return a moment of Kubernetes; the beginning of time where there is none."""
    if not text:
        return datetime.min.replace(tzinfo=UTC)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
