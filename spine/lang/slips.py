r"""Slips in paths: what is legal, finds nothing, and means something else in another language.

gjson has no brackets behind a name, no dot before the first one and no `$`: `items[0]` is the name
of a member there, which nearly never exists. Whoever means such a name escapes it: `items\[0\]`.
Only what cannot be anything else is called a slip: what has a query, a modifier, a literal, a pipe
or several paths is left alone.
"""

import re

_STEP = re.compile(r"""(?P<dot>\.)|(?P<name>[^.\[\]]+)|\[(?P<inner>"[^"]*"|'[^']*'|[^\[\]"']*)\]""")
_OTHER = re.compile(r"[\\@{}|!()]")
"""Outside of brackets: what begins something else than a name."""
_SPECIAL = re.compile(r"[\\.*?|#@!{}()\[\]]")
_EACH = frozenset({"", "*"})


def of_path(path: str) -> str:
    """Return what a path that is looked up means, if hardly what was meant; else nothing.

    One that begins with `$` is JSONPath, and no slip.
    """
    return "" if path.startswith("$") else _slip(path, writes=False)


def of_destination(path: str) -> str:
    """Return the same of a path that is written to, where nothing but names and indices counts."""
    return _slip(path, writes=True)


def _slip(path: str, *, writes: bool) -> str:
    parts = _parts(path.removeprefix(".").removesuffix("."))
    if parts is None or ".." in path:
        return ""
    odd = next((part for part in parts if part == "$" or "[" in part), "")
    if odd:
        brackets = ", with its brackets" if "[" in odd else ""
        why = f"{odd} is taken for a name{brackets}"
    elif path.startswith("."):
        why = "the dot at the start stands behind an empty name"
    elif path.endswith("."):
        why = "the dot at the end stands before an empty name"
    else:
        return ""
    guess = _guess(parts, writes=writes)
    return f"{why} (did you mean {guess})" if guess else why


def _parts(path: str) -> list[str] | None:
    """Return names, each with the brackets behind it; None where a path has anything else."""
    parts: list[str] = []
    at, before = 0, "dot"
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or _OTHER.search(step["name"] or ""):
            return None
        kind = str(step.lastgroup)
        if (kind, before) in {("dot", "dot"), ("name", "inner"), ("inner", "dot")}:
            return None
        if kind == "name":
            parts.append(step[0])
        elif kind == "inner":
            parts[-1] += step[0]
        at, before = step.end(), kind
    return parts


def _guess(parts: list[str], *, writes: bool) -> str:
    """Return the path in gjson; empty where it has none that is plain."""
    found: list[str] = []
    for part in parts:
        for step in _STEP.finditer(part):
            meant = step[0] if step["inner"] is None else _index(step["inner"], writes=writes)
            if meant is None:
                return ""
            found.append(meant)
    if writes and found[:1] == ["$"]:
        del found[0]
    if parts and parts[-1].endswith(("[]", "[*]")):
        del found[-1]  # the array itself; # at the end would be their number
    return ".".join(found) or ("" if writes else "@this")


def _index(inner: str, *, writes: bool) -> str | None:
    """Return what is written for something in brackets; None where nothing is as plain."""
    if inner[:1] in {'"', "'"}:
        return _SPECIAL.sub(lambda found: "\\" + found[0], inner[1:-1]) or None
    if inner.isdecimal():
        return inner
    if inner == "-1":
        return "-1" if writes else "@reverse.0"
    return "#" if inner in _EACH and not writes else None
