"""`tocsin version`: the version, and what it runs on."""

import platform
import sys

import click

from spine import __version__


@click.command("version")
def command() -> None:
    """Show the version, and what it runs on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    click.echo(f"tocsin {__version__} ({python}, {sys.platform}, {platform.machine()})")
