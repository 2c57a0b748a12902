"""What a configuration has under which name: to tell who names something that is not there."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from notifier.config import destinations
from notifier.config.configuration import GROUP, Configuration, Destination
from notifier.config.shaping import near
from services.service import Service
from spine.errors import ConfigError


class Known(NamedTuple):
    """What there is to subscribe to, and what would be there but for an error of its own."""

    triggers: Collection[str]
    services: Mapping[str, Service]
    groups: Collection[str]
    directory: Collection[str]
    default_triggers: tuple[str, ...]
    broken: Collection[str]
    anything: bool = False
    """Whether any name may be there: nobody has seen the configuration."""

    @classmethod
    def of(cls, configuration: Configuration) -> "Known":
        """Return what a configuration knows."""
        return cls(
            configuration.triggers,
            configuration.services,
            configuration.groups,
            configuration.directory,
            configuration.default_triggers,
            configuration.broken,
        )

    def trigger_problem(self, name: str) -> str:
        """Return what is wrong with the name of a trigger, empty where nothing is."""
        if name in self.triggers or self.anything:
            return ""
        if f"trigger.{name}" in self.broken:
            return f"trigger {name!r} is disabled by an error of its own"
        return f"there is no trigger {name!r}{near(name, list(self.triggers))}"

    def destination_problem(self, destination: Destination) -> str:
        """Return why a destination cannot be used, empty where it can."""
        if self.anything and destination.service:
            return ""
        if f"service.{destination.service}" in self.broken:
            return f"service {destination.service!r} is disabled by an error of its own"
        return destinations.unknown(destination, self.services, self.groups)

    def recipient_problem(self, destination: Destination) -> str:
        """Return what is known against a recipient."""
        recipient = destination.recipient
        service = self.services.get(destination.service)
        if "{{" in recipient:
            return _template_problem(recipient)
        if service is None:
            return ""
        for prefix, known in ((f"{GROUP}:", self.groups), ("user:", self.directory)):
            if recipient.startswith(prefix):
                name = recipient.removeprefix(prefix)
                found = name in known
                return "" if found else f"there is no {recipient!r}{near(name, list(known))}"
        return service.problem(recipient)


def _template_problem(recipient: str) -> str:
    from notifier.recipients import compile_recipient  # which is built on configurations

    try:
        compile_recipient(recipient)
    except ConfigError as exc:
        return str(exc)
    return ""
