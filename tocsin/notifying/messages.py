"""`tocsin notify template preview` and `send`: a template, rendered for services."""

import difflib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from notifier.config import Configuration, Destination
from notifier.config.configuration import GROUP
from notifier.html import Letter
from notifier.plan import Plan
from notifier.sending import Clients
from notifier.state import message_key
from notifier.templates import conceal, reveal
from services.catalogue import SERVICES
from services.console import Console
from services.email import Email
from services.service import Message, Service
from spine.errors import ConfigError, TriggerError
from spine.lang import EvaluationError
from tocsin.notifying.finding import Inputs
from tocsin.notifying.found import Found, having
from tocsin.notifying.looking import redacted, shown
from tocsin.notifying.subject import Subject
from tocsin.notifying.words import block, row, warned, whom


class Preview(NamedTuple):
    """A message for one service, or why there is none."""

    configuration: Configuration
    service: str
    recipient: str
    message: Message | None
    problem: str = ""

    @property
    def model(self) -> Service:
        """Return the service."""
        return self.configuration.services[self.service]

    @property
    def text(self) -> str:
        """Return it as its reader would see it, without secrets."""
        if self.message is None:
            return ""
        return shown(self.configuration, self.service, self.message)

    def json(self) -> dict[str, Any]:
        """Return it for a script."""
        found = {
            "service": self.service,
            "type": self.model.kind,
            "recipient": self.recipient,
            "text": self.text,
            "problem": self.problem,
        }
        if self.message is not None:
            hidden = conceal(self.message)
            found["message"] = redacted(self.configuration, hidden.text)
            found["block"] = redacted(self.configuration, hidden.block)
        return found

    def lines(self) -> Iterator[str]:
        """Yield it for a person."""
        kind = "" if self.model.kind == self.service else f" ({self.model.kind})"
        yield row("service", whom(self.service, self.recipient) + kind)
        if self.problem:
            yield f"  {warned('error', self.problem)}"
        else:
            yield from block(self.text or "(an empty message)", 1)

    def letter(self) -> Letter:
        """Return it as a page shows it."""
        model, title = self.model, whom(self.service, self.recipient)
        if self.message is None or not isinstance(model, Email):
            return Letter(title, (("Service", model.kind),), self.problem or self.text)
        found = redacted(self.configuration, conceal(self.message).block)
        names = {"Subject": "subject", "Cc": "cc", "Bcc": "bcc", "Reply-To": "replyTo"}
        heads = [("From", getattr(model, "sender", "")), ("To", self.recipient)]
        heads += [(name, str(found.get(key) or "")) for name, key in names.items()]
        body = found.get("body") or self.configuration.redact(conceal(self.message).text)
        kept = tuple((name, text) for name, text in heads if text)
        return Letter(title, kept, str(body), html=bool(getattr(model, "html", False)))


@dataclass(frozen=True, slots=True)
class Rendering:
    """Templates and one object."""

    found: Found
    subject: Subject
    names: tuple[str, ...]
    note: str
    plan: Plan
    resolved: bool = False

    @classmethod
    def of(cls, given: Inputs, names: tuple[str, ...], *, resolved: bool = False) -> "Rendering":
        """Raise ConfigError where there is no such template."""
        assert given.subject is not None, "the command takes one"
        found = having(given.found, given.subject, "templates", names)
        plan, note = found.plan_anyway(given.subject)
        return cls(found, given.subject, names, note, plan, resolved)

    def variables(self) -> dict[str, Any]:
        """Return what templates see."""
        found = self.plan.rules.check(dict(self.subject.seen.body))
        health = None
        if found is not None:
            health = {**found._asdict(), "previous": "", "since": time.time()}
        values = self.plan.variables(self.subject.seen, health)
        return {**values, "resolved": self.resolved}

    def _served(self, text: str) -> "tuple[Rendering, str]":
        """Return the same with a service, and its name: one of the configuration, or a mere type.

        Raises ConfigError.
        """
        configuration = self.found.configuration
        kind, _, name = text.partition(".")
        for one in (text, name):
            known = configuration.services.get(one)
            if known is not None and (one == text or known.kind == kind):
                return self, one
        if f"service.{text}" in configuration.broken:
            raise ConfigError(
                f"using service {text!r}: it is disabled by an error",
                hint="see tocsin notify validate",
            )
        model = SERVICES.get(kind)
        if model is None:
            near = difflib.get_close_matches(text, [*configuration.services, *SERVICES], n=1)
            there = f"configured are: {', '.join(configuration.services) or 'none'}"
            hint = f"did you mean {near[0]}?" if near else there
            raise ConfigError(f"using service {text!r}: there is none of that name", hint=hint)
        name = name or kind
        services = {**configuration.services, name: model.model_construct()}
        plan = replace(self.plan, configuration=replace(configuration, services=services))
        return replace(self, plan=plan), name

    # ------------------------------------------------------------------------ previews

    def previews(self, service: str, recipient: str) -> list[Preview]:
        """Return the message for a service, or for each that is configured."""
        if service:
            served, name = self._served(service)
            return [served.preview(name, recipient)]
        names = list(self.found.configuration.services)
        if not names:
            raise ConfigError(
                "previewing a template: no service is configured",
                hint=f"choose a type: --service slack (there is {', '.join(SERVICES)})",
            )
        return [self.preview(name, recipient) for name in names]

    def preview(self, service: str, recipient: str) -> Preview:
        """Return the message for one service."""
        configuration, values = self.plan.configuration, self.variables()
        try:
            message = self.plan.message(self.names, service, values, recipient)
        except (ConfigError, EvaluationError) as exc:
            problem = configuration.redact(str(exc))
            return Preview(configuration, service, recipient, None, problem)
        return Preview(configuration, service, recipient, message)

    # ------------------------------------------------------------------------ sending

    def letters(self, destination: str) -> list[Preview]:
        """Return the messages for a destination, one for each recipient it stands for.

        Raises ConfigError where it is nobody, or where a message cannot be made.
        """
        service, _, recipient = destination.partition(":")
        able, name = (self, GROUP) if service == GROUP else self._served(service)
        if able is not self and service != Console.kind:
            raise ConfigError(
                f"telling {destination!r}: service {service!r} is not configured",
                hint=f"add service.{service} to ConfigMap {self.found.configuration.name}",
            )
        places, problems = able.plan.recipients(Destination(name, recipient), able.variables())
        found = [able.preview(*place) for place in places]
        problems += [one.problem for one in found if one.problem]
        problems += [why for one in found if (why := self._unseen(one))]
        problems += [
            f"telling {whom(one.service, one.recipient)}: {why}"
            for one in found
            if (why := one.model.problem(one.recipient))
        ]
        if problems or not found:
            raise ConfigError("; ".join(problems) or f"telling {destination!r}: that is nobody")
        return found

    def _unseen(self, preview: Preview) -> str:
        """Return why a service cannot be used whose secrets nobody has seen."""
        if self.found.current.texts.secret is not None or preview.message is None:
            return ""
        asks = "$" in preview.model.model_dump_json() or conceal(preview.message) != preview.message
        text = f"telling by {preview.service!r}: the Secret is not at hand (give --secret)"
        return text if asks else ""

    async def send(self, preview: Preview) -> str:
        """Send a message; return what its service said, without secrets. Raises TriggerError."""
        configuration = preview.configuration
        assert preview.message is not None, "letters gives whole ones"
        clients = Clients(configuration, self.found.env)
        key = message_key("tocsin notify", self.subject.name, str(time.time_ns()))
        try:
            client = await clients.get(preview.service)
            message = reveal(preview.message, configuration.secrets)
            receipt = await client.send(message, preview.recipient, key)
        except EvaluationError as exc:
            raise TriggerError(configuration.redact(str(exc)), permanent=True) from None
        except TriggerError as exc:
            why, hint = configuration.redact(exc.message), configuration.redact(exc.hint)
            raise TriggerError(why, hint=hint, permanent=exc.permanent) from None
        finally:
            await clients.close()
        return configuration.redact("; ".join([receipt.summary, *receipt.problems]))
