"""The option of verbs whose answers programs read as well."""

from collections.abc import Callable
from typing import Any

import click

LINES = "Lines for a person, or a JSON object a line."
ONE_OBJECT = "Lines for a person, or one JSON object."


def output_option(help: str, *names: str) -> Callable[[Any], Any]:
    """Add `output`, which is text or json; `names` are more names of the option."""
    return click.option(
        "-o",
        "--output",
        *names,
        "output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help=help,
    )
