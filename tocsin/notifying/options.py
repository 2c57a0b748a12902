"""What the commands of `tocsin notify` have in common: options, inputs, output."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tocsin.cluster import cluster_options

if TYPE_CHECKING:
    from tocsin.notifying.finding import Choice

DONE, NOTHING, WRONG = 0, 1, 2
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_CONFIGURATION = (
    click.option("-f", "--file", "files", multiple=True, metavar="PATH",
                 help="Manifests with ConfigMap, Secret and Notifier; may be repeated."),
    click.option("--config-map", default="", metavar="FILE|[NS/]NAME",
                 help="The ConfigMap alone, of a file or of the cluster."),
    click.option("--secret", default="", metavar="FILE|[NS/]NAME|:empty",
                 help="The Secret; :empty is one without keys."),
    click.option("--notifier", default="", metavar="[NS/]NAME",
                 help="Which Notifier, where there are several."),
)  # fmt: skip
event_option = click.option(
    "--event",
    "change",
    type=click.Choice(["ADDED", "MODIFIED", "DELETED"]),
    default="MODIFIED",
    show_default=True,
    help="What event.type is.",
)
full_option = click.option("--full", is_flag=True, help="Show all parts, and long values in full.")


def input_options(function: F) -> F:
    """Give a command the options that say which configuration and which cluster."""
    function = cluster_options(function)
    for option in reversed(_CONFIGURATION):
        function = option(function)
    return function


def choice_of(options: dict[str, Any]) -> "Choice":
    """Return what the options of `input_options` and `event_option` say."""
    from tocsin.notifying.finding import Choice

    return Choice(**options)


def with_inputs(choice: "Choice", target: str, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Do something with configurations and an object."""
    from tocsin.notifying.finding import inputs

    async def main() -> T:
        async with inputs(choice, target) as given:
            return await work(given)

    return asyncio.run(main())


def print_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
