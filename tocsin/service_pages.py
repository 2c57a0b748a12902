"""The pages of the services: settings, recipient, template block and example, from the models."""

import inspect
import sys
from collections.abc import Mapping

from services.service import Service
from tocsin.reference import about, models, section

_FOOT = "This page is generated from the code (`make generate`)."


def service_page(service: type[Service]) -> str:
    """Return the page of a service."""
    first, _, rest = _said(service).partition("\n\n")
    parts = [f"# {service.kind}\n\n{first}\n"]
    if rest:
        parts.append(f"{rest}\n")
    parts.append(f"Recipient: {service.recipients}.\n")
    if service.idempotent:
        parts.append(
            f"A message that is sent again bears the same key ({service.idempotent}), so that it\n"
            "is told once.\n"
        )
    parts.append(f"```yaml\n{service.example.strip()}\n```\n")
    parts.append(f"## Settings\n\nWhat stands below `service.{service.kind}`.\n")
    for path, model in models(service, f"service.{service.kind}", set()):
        parts.append(_without_words(section(path, model), model is service, about(model)))
    if service.block is not None:
        below = f"{service.kind}.NAME" if service.block_by_name else service.kind
        parts.append(f"## In templates\n\nWhat stands below `{below}` of a template.\n")
        for path, model in models(service.block, below, set()):
            parts.append(section(path, model))
    parts.append(_FOOT + "\n")
    return "\n".join(parts)


def service_index(services: Mapping[str, type[Service]]) -> str:
    """Return the page that lists all services."""
    rows = [
        f"| [{kind}]({kind}.md) | {_first(service)} | {_escaped(service.recipients)} |"
        for kind, service in sorted(services.items())
    ]
    table = "\n".join(["| type | | recipient |", "|---|---|---|", *rows])
    return f"""# Services

The ways to tell people. Each is configured below `service.TYPE` of a
[notifications ConfigMap](../notifications.md), and as `notify.service` of a Sensor's trigger.

{table}

{_FOOT}
"""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _said(service: type[Service]) -> str:
    """Return what the module of a service says of it."""
    return inspect.cleandoc(sys.modules[service.__module__].__doc__ or "")


def _first(service: type[Service]) -> str:
    said = " ".join(_said(service).partition("\n\n")[0].split())
    return (said.partition(": ")[2] or said).partition(". ")[0].rstrip(".")


def _without_words(text: str, own: bool, words: str) -> str:
    """Return a section, for the service itself without the words of its class."""
    return text.replace(f"{words}\n\n", "", 1) if own and words else text
