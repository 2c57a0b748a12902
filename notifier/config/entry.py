"""One key of the configuration while it is read: its value, and what is wrong with it."""

import re
from typing import Any

from notifier.config.configuration import Problem
from notifier.config.decoding import Decoded, Undecodable, decode
from notifier.config.shaping import Shaping
from spine.errors import Fault
from spine.manifest import Severity
from spine.model import Path

MOST = 100
"""Problems of one key that are kept."""


class Entry:
    """A key and its value, with problems that point at a line of it."""

    def __init__(self, key: str, text: str, *, secret: bool = False) -> None:
        self.key, self.secret = key, secret
        self.problems: list[Problem] = []
        self.failed = False
        """Whether an error was found."""
        self.decoded = Decoded()
        try:
            self.decoded = decode(text)
        except Undecodable as exc:
            place = exc.line, exc.column
            self.failed = True
            self.problems.append(Problem(key, str(exc), "error", (), *place, secret=secret))
        for path, message in self.decoded.warnings:
            self.warn(path, message)

    @property
    def value(self) -> Any:
        """The decoded value; None where there is none."""
        return self.decoded.value

    @property
    def full(self) -> bool:
        """Whether so much is wrong that nothing more is said."""
        return len(self.problems) > MOST

    def say(self, severity: Severity, path: Path, message: str) -> None:
        """Note a problem."""
        self.failed = self.failed or severity == "error"
        if self.full:
            return
        if len(self.problems) == MOST:
            path, message = (), "there is more that is not said here"
        line, column = self.decoded.place(path)
        problem = Problem(self.key, message, severity, path, line, column, self.secret)
        if problem not in self.problems:
            self.problems.append(problem)

    def error(self, path: Path, message: str) -> None:
        """Note what makes a part of the value useless."""
        word = self.decoded.words.get(path)
        hint = f' (YAML takes {word} for a boolean: write "{word}")' if word else ""
        self.say("error", path, message + hint)

    def warn(self, path: Path, message: str) -> None:
        """Note what works and may not be meant."""
        self.say("warning", path, message)

    def fault(self, path: Path, exc: Fault) -> None:
        """Note an error that was raised; `path: ` in front of its text is taken as the place."""
        at, message = split_place(exc.message)
        self.error((*path, *at), f"{message} ({exc.hint})" if exc.hint else message)

    def shaped(self, wanted: Any, value: Any, path: Path = ()) -> Any:
        """Return a value as a type wants it, None after an error was noted."""
        shaping = Shaping()
        out = shaping.shape(wanted, value, path, path)
        self.take(shaping)
        return None if shaping.errors else out

    def take(self, shaping: Shaping) -> None:
        """Note what came up in shaping."""
        for path, message in shaping.errors:
            self.error(path, message)
        for path, message in shaping.warnings:
            self.warn(path, message)


_PLACE = re.compile(r"^(?:\w+ing (?:trigger|template) '[^']*': ?)?((?:\[\d+\]|\.?[\w-]+)+): ")
_STEP = re.compile(r"\[(\d+)\]|([\w-]+)")


def split_place(message: str) -> tuple[Path, str]:
    """Split `[0].when: why` into a path and the reason; the path is empty where there is none."""
    match = _PLACE.match(message)
    if match is None:
        return (), message
    steps = (int(step[1]) if step[1] else step[2] for step in _STEP.finditer(match[1]))
    return tuple(steps), message[match.end() :]
