"""What is known of a Lua program without running it: what it uses, and whether it is cheap.

A program is safe when it has no loop, no function of its own and calls nothing but what takes
time and memory in proportion to the data. Such a program ends; all others belong into a guard.
"""

import re
from dataclasses import dataclass, field

from spine.lang.lua.lexer import SyntaxFault

_CHEAP = {
    "": {"assert", "error", "next", "print", "rawequal", "rawget", "tonumber", "tostring", "type"},
    "math": {
        *("abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor"),
        *("fmod", "frexp", "ldexp", "log", "log10", "max", "min", "mod", "modf", "pow", "rad"),
        *("random", "sin", "sinh", "sqrt", "tan", "tanh"),
    },
    "os": {"clock", "difftime", "time"},
    "string": {"byte", "len", "lower", "reverse", "sub", "upper"},
    "table": {"getn", "maxn", "remove"},
}
_PATTERNS = frozenset({"find", "match"})
_LIBRARIES = frozenset({"_G", "coroutine", "math", "os", "string", "table"})
_CONSTANTS = {("math", "pi"), ("math", "huge")}
_PROTECTED = _LIBRARIES | _CHEAP[""]

REFUSED = {
    "": {"dofile", "loadfile", "module", "newproxy", "require"},
    "channel": {"make", "select"},
    "debug": {
        *("getfenv", "getinfo", "getlocal", "getmetatable", "getupvalue", "setfenv", "setlocal"),
        *("setmetatable", "setupvalue"),
    },
    "io": {
        *("close", "flush", "input", "lines", "open", "output", "popen", "read", "tmpfile"),
        *("type", "write"),
    },
    "os": {"execute", "exit", "getenv", "remove", "rename", "setenv", "setlocale", "tmpname"},
    "package": {"loadlib", "seeall"},
}
"""What reaches out of a program, by library; calling it is an error."""

_REFLECTIVE = frozenset({"_G", "getfenv", "load", "loadstring", "setfenv"})
"""Who mentions these may use anything by a name that is not in the source."""

_GROWTH = 32
"""Texts that a safe program may make: each may be as long as the memory allows."""
_LENGTH = 32 * 1024
"""Length of a safe program."""
_PATTERN = 64
"""Length of a pattern in it."""


@dataclass(slots=True)
class Facts:
    """What was seen while a program was read."""

    globals: set[str] = field(default_factory=set)
    """Global names that it mentions."""
    reads: set[tuple[str, ...]] = field(default_factory=set)
    """Global names and the first two constant fields with which they are mentioned."""
    assigned: set[str] = field(default_factory=set)
    """Names that it gives a value, as globals or as locals."""
    reaching: list[tuple[int, str]] = field(default_factory=list)
    """Lines and names of calls that are refused, unless the name is the program's own."""
    doubt: str = ""
    """Why it is not safe."""
    growth: int = 0
    """How many texts it makes."""
    matching: bool = False
    """Whether it matches patterns: time is then limited even where it is cheap."""

    @property
    def dynamic(self) -> bool:
        """Whether it may use names that are not in its source."""
        return not _REFLECTIVE.isdisjoint(self.globals)

    def verdict(self, length: int, offered: frozenset[str] = frozenset()) -> str:
        """Return why the program is not safe; empty if it is.

        `offered` are names that it may call though they are refused to others. Raises SyntaxFault.
        """
        for line, name in self.reaching:
            if name.partition(".")[0] not in self.assigned and name not in offered:
                raise SyntaxFault(line, f"{name} is not available to programs in manifests")
        if not self.assigned.isdisjoint(_PROTECTED):
            return "it gives a name of the library another value"
        if self.growth > _GROWTH or length > _LENGTH:
            return "it is long"
        return self.doubt

    def suspect(self, why: str) -> None:
        """Note why the program is not safe."""
        self.doubt = self.doubt or why

    def mentioned(self, path: tuple[str, ...]) -> None:
        """Note a name, such as `("string", "rep")`, that is used otherwise than in a call."""
        self.reads.add(path[:3])
        if path[0] in _PROTECTED and path not in _CONSTANTS:
            self.suspect(f"it uses {'.'.join(path)} otherwise than by calling it")

    def called(self, path: tuple[str, ...], arguments: list[str | None], line: int) -> None:
        """Note a call of a global, with those arguments that are texts in the source."""
        self.reads.add(path[:3])
        library, name = (path[0], path[1]) if len(path) > 1 else ("", path[0])
        if name in REFUSED.get(library, ()) and len(path) <= 2:  # noqa: PLR2004 -- library.name
            self.reaching.append((line, ".".join(path)))
        if len(path) > 2 or not self._cheap(library, name, arguments):  # noqa: PLR2004
            self.suspect(f"it calls {'.'.join(path)}")

    def method(self, name: str, arguments: list[str | None]) -> None:
        """Note a call of a method; of a safe program it can be one of a text only."""
        if not self._cheap("string", name, [None, *arguments]):
            self.suspect(f"it calls a method {name}")

    def _cheap(self, library: str, name: str, arguments: list[str | None]) -> bool:
        if name in _CHEAP.get(library, ()):
            return True
        if library == "string" and name in _PATTERNS and len(arguments) > 1:
            self.matching = True
            return _linear(arguments[1])
        if library == "string" and name == "gsub" and len(arguments) == 3:  # noqa: PLR2004
            self.matching = True
            self.growth += 2
            return _linear(arguments[1]) and _short(arguments[2])
        if (library, name) == ("table", "concat"):
            self.growth += 4
            return True
        return False


def _linear(pattern: str | None) -> bool:
    """Say whether matching takes time in proportion to the text."""
    if pattern is None or "%b" in pattern or len(pattern) > _PATTERN:
        return False
    plain = re.sub(r"%.|\[\^?\]?(?:%.|[^\]])*\]", "x", pattern, flags=re.DOTALL)
    repeated = sum(plain.count(mark) for mark in "*+-?")
    return repeated <= plain.startswith("^")


def _short(replacement: str | None) -> bool:
    return replacement is not None and len(replacement) <= 16 and "%" not in replacement  # noqa: PLR2004
