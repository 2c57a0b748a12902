"""`service.TYPE` and `service.TYPE.NAME`: options of a service, with its secrets put in."""

from collections.abc import Mapping
from typing import Any

from notifier.config.entry import Entry
from notifier.config.references import replaced
from notifier.config.shaping import Shaping, near
from services.catalogue import SERVICES
from services.service import Service
from spine.model import Path


def model_of(entry: Entry, kind: str) -> type[Service] | None:
    """Return the model of a type of service, None after an error was noted."""
    model = SERVICES.get(kind)
    if model is None:
        known = near(kind, list(SERVICES)) or f" (there is {', '.join(sorted(SERVICES))})"
        entry.error((), f"{kind!r} is no type of service{known}")
    return model


def read_service(
    entry: Entry,
    kind: str,
    value: Any,
    path: Path,
    secret: Mapping[str, str] | None,
    *,
    own_only: bool,
) -> Service | None:
    """Return a service, None after an error was noted. No text of it is shown in errors.

    Without a Secret, a service is made that cannot be used: for those who check the rest.
    """
    model = model_of(entry, kind)
    if model is None:
        return None
    found = replaced(value, secret, own_only=own_only)
    for at, message in found.warnings:
        entry.warn((*path, *at), message)
    for at, message in found.notes:
        entry.say("note", (*path, *at), message)
    shaping = Shaping(frozenset((*path, *at) for at in found.paths), private=True)
    service = shaping.model(model, found.value, path, what=entry.key)
    if secret is None and service is None and isinstance(found.value, Mapping):
        unseen = shaping.secrets | {path} if shaping.secrets else shaping.secrets
        shaping.errors = [one for one in shaping.errors if one[0] not in unseen]
        service = None if shaping.errors else _unseen(model, found.value)
    entry.take(shaping)
    return service


def _unseen(model: type[Service], value: Any) -> Service:
    """Return a service whose secrets are not known, unchecked."""
    folded = {key.lower(): item for key, item in value.items()}
    fields = {
        name: folded.get((info.alias or name).lower(), folded.get(name))
        for name, info in model.model_fields.items()
    }
    return model.model_construct(**{k: v for k, v in fields.items() if v is not None})
