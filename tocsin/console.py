"""What `tocsin run` shows: its own lines, and its processes' with their names before them."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from spine import output

_COLOURS = ("cyan", "magenta", "blue", "green", "bright_cyan", "bright_magenta", "bright_blue")


class Console:
    """Prints lines as text, or each as a JSON object."""

    def __init__(self, form: str, *, verbose: bool = False) -> None:
        self.json = form == "json"
        self.verbose = verbose
        self._width = 0
        self._colours: dict[str, str] = {}

    def meet(self, name: str) -> None:
        """Make room for the name of a process."""
        self._width = max(self._width, len(name))
        self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])

    def say(self, text: str, *, level: str = "info", **fields: Any) -> None:
        """Print a line of our own."""
        if self.json:
            now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            line = {"level": level, "ts": now, "logger": "tocsin.run", "msg": text, **fields}
            text = json.dumps(line, default=str)
        elif level != "info":
            colour = "red" if level == "error" else "yellow"
            text = f"{click.style(f'{level}:', fg=colour)} {text}"
        self._write(text)

    def detail(self, text: str, **fields: Any) -> None:
        """Print a line that only --verbose shows."""
        if self.verbose:
            self.say(text, **fields)

    def relay(self, name: str, line: str) -> None:
        """Print a line of a process."""
        if not self.json:
            prefix = click.style(f"{name:<{self._width}} |", fg=self._colours.get(name))
            self._write(f"{prefix} {line}")
        elif line.startswith("{"):
            self._write(line)
        else:
            self.say(line, level="error", process=name)

    def _write(self, text: str) -> None:
        try:
            click.echo(text)
        except BrokenPipeError:
            if not output.lose():
                raise
