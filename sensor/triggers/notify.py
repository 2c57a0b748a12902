"""Notify: tells people, by any service of the notifications format. Ours.

Settings of the service may hold `$key`, a key of one Secret: an action holds these references, and
the Secret is read when it is sent, so a rotated one is taken at once. What is said, and to whom,
follows from the events; by which service and with which Secret does not.
"""

import difflib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, ClassVar

from pydantic import field_validator, model_validator
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.sending import Sending, missing
from sensor.telling import tell_each
from services import references
from services.hiding import credentials
from services.opened import Clients
from services.service import Message, Service
from spine.errors import ConfigError, TriggerError
from spine.fields import Name
from spine.model import InvalidModel, Path, Problem, load, warn
from spine.runtime import Env
from spine.secrets import KeyRef, SecretRef, Secrets


class Notify(Sending):
    """Tells people, by mail, chat or whatever there is a service for."""

    kind: ClassVar[str] = "notify"
    fixed: ClassVar[frozenset[str]] = frozenset({"service", "config", "secret"})

    service: Name
    """Type of service, such as `slack`: what follows `service.` in the notifications format."""
    config: dict[str, Any] = {}
    """Its settings, as in the notifications format; `$key` is a key of the Secret, `$$` is `$`."""
    secret: str = ""
    """Name of the Secret that `$key` in `config` refers to; read when a message is sent."""
    recipients: list[str] = []
    """Who is told, each as the service has it, such as `#deploys`; none where it needs none. One
    that cannot be reached holds up no other, and nobody is told twice because of that."""
    message: str = ""
    """What is said."""
    block: dict[str, Any] = {}
    """What else the service takes from a template, such as `subject` of a mail: plain values."""

    @field_validator("service")
    @classmethod
    def _known(cls, kind: str) -> str:
        known = _services()
        if kind not in known:
            near = difflib.get_close_matches(kind.lower(), known, n=1, cutoff=0.6)
            raise ValueError(
                f"no such service (did you mean {near[0]})"
                if near
                else f"no such service: there are {', '.join(sorted(known))}"
            )
        return kind

    @model_validator(mode="after")
    def _keeps_credentials_in_a_secret(self) -> "Notify":
        service = _read(self)[0]
        texts = () if service is None else credentials(service)
        if any(len(text) > _SHORT and not references.keys(text) for text in texts):
            warn("config: holds a credential: keep it in a Secret and write $KEY")
        return self

    def secret_references(self) -> Iterator[tuple[Path, KeyRef]]:
        """Yield the keys of the Secret that the settings refer to."""
        for path, text in references.texts(self.config):
            for key in references.keys(text):
                yield ("config", *path), SecretRef(name=self.secret, key=key)

    @override
    def check_written(self, changed: Collection[str]) -> None:
        problems = _below("config", _read(self)[1])
        if not self.secret:
            problems += [
                Problem(path, f"${ref.key} is a key of a Secret: name the Secret in secret")
                for path, ref in self.secret_references()
            ]
        if "block" not in changed:
            problems += _of_block(self)
        if "recipients" not in changed:
            problems += _of_recipients(self)
        if problems:
            raise InvalidModel(self.kind, problems)

    @override
    def check(self) -> None:
        missing(self.kind, message_or_block=self.message or self.block)
        self.check_written(())

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


_SHORT = 3
"""Characters that are no credential."""


def _services() -> Mapping[str, type[Service]]:
    from services.catalogue import SERVICES  # all of them: for those alone who use this trigger

    return SERVICES


def _read(notify: Notify) -> tuple[Service | None, list[Problem]]:
    """Return the service with its references as they stand, and what is wrong with its settings.

    What a reference stands in may turn out to be right, so nothing is said of it; then there is
    no service.
    """
    try:
        return load(_services()[notify.service], notify.config), []
    except InvalidModel as exc:
        return None, [
            p
            for p in exc.problems
            if p.message.startswith("unknown field") or not _refers(notify.config, p.path)
        ]


def _refers(value: Any, path: Path) -> bool:
    """Return whether there is a reference in what stands at a path."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return any(references.keys(text) for _, text in references.texts(value))


def _below(field: str, problems: list[Problem]) -> list[Problem]:
    return [Problem((field, *p.path), p.message) for p in problems]


def _of_block(notify: Notify) -> list[Problem]:
    if not notify.block:
        return []
    model = _services()[notify.service].block
    if model is None:
        return [Problem(("block",), f"{notify.service} takes none: leave it out")]
    try:
        load(model, notify.block)
    except InvalidModel as exc:
        return _below("block", exc.problems)
    return []


def _of_recipients(notify: Notify) -> Iterator[Problem]:
    service = _read(notify)[0]
    keyed = any(
        references.keys(str(path[-1])) for path, _ in references.texts(notify.config, ("",))
    )
    if service is None or keyed:
        return  # a recipient may be a name that stands in the Secret
    for number, recipient in enumerate(notify.recipients):
        if why := service.problem(recipient):
            yield Problem(("recipients", number), why)
    if not notify.recipients and (why := service.problem("")):
        yield Problem(("recipients",), f"{why} (a recipient is {service.recipients})")


# ---------------------------------------------------------------------------- sending


@asynccontextmanager
async def _open(env: Env) -> AsyncIterator[Sender]:
    async with Clients(env) as clients:
        yield NotifySender(clients, env.secrets)


class NotifySender(Sender):
    """Tells what an action of kind `notify` holds."""

    def __init__(self, clients: Clients, secrets: Secrets) -> None:
        self._clients, self._secrets = clients, secrets

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        try:
            message = _message(action)
            async with self._clients.of(self._service(content)) as client:
                return await tell_each(action, "recipients", partial(client.send, message))
        except ConfigError as exc:  # a Secret may yet come
            raise TriggerError(f"telling by {content['service']}: {exc}") from exc

    def _service(self, content: Mapping[str, Any]) -> Service:
        """Return the service with its secrets. Raises ConfigError, which shows none of them."""
        written, secret = content.get("config", {}), content.get("secret", "")

        def look(key: str) -> str:
            return self._secrets.secret(SecretRef(name=secret, key=key))

        config = references.replaced(written, look)
        try:
            return load(_services()[content["service"]], config)
        except InvalidModel as exc:
            unfit = f"what Secret {secret!r} has for it cannot be used"
            problems = [
                Problem(("config", *p.path), unfit if _refers(written, p.path) else p.message)
                for p in exc.problems
            ]
            raise InvalidModel("its settings", problems) from None  # whose text shows values


def _message(action: Action) -> Message:
    content = action.content
    block, model = content.get("block", {}), _services()[content["service"]].block
    if block and model is not None:  # the keys as a service looks for them
        block = load(model, block).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return Message(text=content.get("message", ""), block=block, template=action.trigger)
