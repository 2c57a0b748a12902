"""Triggers that send a message: their content is their settings, and the body built from events.

Parameters of the trigger's own level may change any setting before it is read, also where Argo
Events takes such parameters and ignores them. Secrets are only named in the content.
"""

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from sensor.parameters import Parameter, compile_parameters, compile_payload
from sensor.templated import compile_changing, json_of, keep_fixed, members, refuse_fixed
from sensor.trigger import Events, Render, Trigger
from spine.errors import ConfigError
from spine.model import load

_BUILT = frozenset({"payload", "parameters"})


class Sending(Trigger):
    """A trigger whose settings and body follow from the events."""

    parameters: list[Parameter] = []
    """Values from events put into these settings."""

    def check(self) -> None:
        """Raise ConfigError for what can never be sent, once all parameters are applied."""

    @override
    def compile(self) -> Render:
        if not self.parameters:
            return self._compile()
        refuse_fixed(self.parameters, self)
        document = json_of(self, without=frozenset({"parameters"}))
        return compile_changing(document, compile_parameters(self.parameters), self._compile_text)

    def _compile_text(self, document: bytes) -> Render:
        changed = load(type(self), members(document), what=self.kind, lenient=True)
        keep_fixed(self, changed)
        return changed._compile()  # noqa: SLF001 -- another one of this very class

    def _compile(self) -> Render:
        self.check()
        static = self.model_dump(
            mode="json",
            by_alias=True,
            exclude_none=True,
            exclude_defaults=True,
            exclude=set(_BUILT),
        )
        payload = getattr(self, "payload", None)  # not all kinds have one
        build = None if payload is None else compile_payload(payload)
        return lambda events: _content(static, build, events)


def _content(
    static: dict[str, Any], build: Callable[[Events], str] | None, events: Events
) -> dict[str, Any]:
    return static.copy() if build is None else {**static, "body": build(events)}


def missing(kind: str, **fields: object) -> None:
    """Raise ConfigError for the first field without a value; `a_or_b` asks for one of two."""
    for name, value in fields.items():
        if not value:
            raise ConfigError(f"reading {kind}: {name.replace('_or_', ' or ')} is missing")
