"""Templates: what is told, with a block for each type of service that wants more than a text.

    template = compile_template("failed", {"message": "{{ .obj.metadata.name }} failed"})
    render([template], "slack", Slack, {**variables, "serviceType": "slack", "recipient": "dev"})

Everything is compiled when it is loaded. For a destination nothing is rendered but the text and the
block that its service reads, so an error in the block of another one does not matter.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from notifier import veil
from notifier.blocks import Compiled, Fields, Make, meant
from notifier.reads import Path, Reads, together
from services.catalogue import SERVICES
from services.service import Block, Message, Service
from spine.errors import ConfigError
from spine.lang.gofmt import verb_v
from spine.lang.govalue import StringMap

__all__ = ["Template", "compile_template", "conceal", "render", "reveal"]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template."""

    name: str
    message: Make
    """Gives the text."""
    blocks: Mapping[str, Fields | Mapping[str, Fields]]
    """Type of service -> block, or name of the service -> block where it is by name."""
    reading: Reads
    """What all of it reads."""
    warnings: tuple[str, ...] = ()
    """What is likely not meant, with its place in front."""

    @property
    def reads(self) -> frozenset[str] | None:
        """Names of the variables that it reads; None: it may be any."""
        return self.reading.roots

    @property
    def fields(self) -> frozenset[Path] | None:
        """Members of the object that it reads; None: it may be all."""
        return self.reading.fields


def compile_template(name: str, raw: Mapping[str, Any]) -> Template:
    """Compile a template as it stands in YAML. Raises ConfigError with the place in it."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"compiling template {name!r}: it is no mapping", hint="write message: …")
    compiled = Compiled(name)
    message, blocks = compiled.text("message", ""), {}
    try:
        for key, value in raw.items():
            kind = str(key).lower()
            if kind == "message":
                message = compiled.text("message", _message(value))
            elif value is not None:
                blocks.update(_block(compiled, kind, value))
    except ConfigError as exc:
        at = f"compiling template {name!r}: {exc.message}"
        raise ConfigError(at, hint=exc.hint) from exc
    reading = together(compiled.reads)
    return Template(name, message, blocks, reading, tuple(compiled.warnings))


def _message(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool | int | float):
        return verb_v(value)
    hint = "put a text that begins with {{ into quotes"
    raise ConfigError(f"message: it is a text, not a {type(value).__name__}", hint=hint)


def _block(compiled: Compiled, kind: str, raw: Any) -> dict[str, Fields | Mapping[str, Fields]]:
    service = SERVICES.get(kind)
    if service is None or service.block is None:
        why = "this service has no block" if service is not None else "no service is called that"
        known = [name for name, one in SERVICES.items() if one.block is not None]
        compiled.warnings.append(f"{kind}: ignored: {why}{meant(kind, known)}")
        return {}
    if not service.block_by_name:
        return {kind: compiled.block(service.block, kind, raw)}
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{kind}: it has a mapping for each name of a service")
    fields = {}
    for name, one in raw.items():
        if one is not None:
            fields[str(name)] = compiled.block(service.block, f"{kind}.{name}", one)
    return {kind: fields}


# ---------------------------------------------------------------------------- rendering


def render(
    templates: Sequence[Template],
    service_name: str,
    service: type[Service],
    variables: Mapping[str, Any],
) -> Message:
    """Render templates into one message for a service: later ones add to what earlier ones say.

    `variables` have `recipient` already; `messages` are texts that this function gave. Secrets stay
    markers until `reveal`. Raises EvaluationError with template, field and line.
    """
    context = {**variables.get("context", {}), "notificationType": service_name}
    given = {"recipient": "", **variables, "serviceType": service_name}
    given["context"] = StringMap(context)
    told = given.get("messages")
    if told is None and not any(_reads_secrets(template) for template in templates):
        return _rendered(templates, service_name, service, given, veil.destroyed)
    with veil.rendering(given.get("secrets")) as now:
        given["secrets"] = now.secrets
        if told is not None:
            given["messages"] = now.adopted(told)
        return _rendered(templates, service_name, service, given, now.settled)


def _reads_secrets(template: Template) -> bool:
    return template.reads is None or "secrets" in template.reads


def _rendered(
    templates: Sequence[Template],
    service_name: str,
    service: type[Service],
    given: dict[str, Any],
    settle: Callable[[Any], Any],
) -> Message:
    text = ""
    fields: dict[str, Any] = {}
    for template in templates:
        text = template.message(given, settle) or text
        block = template.blocks.get(service.kind)
        if isinstance(block, Mapping):
            block = block.get(service_name)
        if block is not None:
            made = block.render(given, settle)
            made |= _defaults(block.model, made, given, settle)
            if block.model.together:
                fields = made
            else:
                fields.update({key: one for key, one in made.items() if one not in _BLANKS})
    name = templates[0].name if templates else ""
    return Message(text=text, block=fields, template=name, resolved=given.get("resolved") is True)


_BLANKS: tuple[Any, ...] = ("", [], {}, None)


def _defaults(
    model: type[Block],
    written: Collection[str],
    given: Mapping[str, Any],
    settle: Callable[[Any], Any],
) -> dict[str, Any]:
    """Return what fields say that are not written, as far as there is what they begin with."""
    made: dict[str, Any] = {}
    for key, make, roots in _compiled_defaults(model):
        if key not in written and all(given.get(root) is not None for root in roots):
            made[key] = make(given, settle)
    return made


@lru_cache
def _compiled_defaults(model: type[Block]) -> tuple[tuple[str, Make, frozenset[str]], ...]:
    found = []
    for key, text in model.defaults.items():
        compiled = Compiled(f"default of {model.__name__}")
        make = compiled.text(key, text)
        found.append((key, make, together(compiled.reads).roots or frozenset()))
    return tuple(found)


# ---------------------------------------------------------------------------- secrets


def reveal(message: Message, secrets: Mapping[str, str]) -> Message:
    """Return a message as it is sent, with what its markers stand for.

    Raises EvaluationError where the Secret does not have a key any more.
    """
    return _each(message, lambda value: veil.revealed(value, secrets))


def conceal(message: Message) -> Message:
    """Return a message as it may be shown, with `***` for what secrets make."""
    return _each(message, veil.hidden)


def _each(message: Message, change: Callable[[Any], Any]) -> Message:
    return msgspec.structs.replace(message, text=change(message.text), block=change(message.block))
