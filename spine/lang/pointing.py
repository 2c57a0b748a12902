"""Where in a program something is wrong, as a person finds it: by line and column, from 1."""

import re

_PLACE = re.compile(r"\bline (\d+)(?:, column (\d+))?: |\bcolumn (\d+): ")
_WIDTH = 100
"""Characters of a line that are shown around its mark."""


def place(program: str, at: int) -> str:
    """Return `column 5`, or `line 2, column 5` where the program has several lines."""
    before = program[:at]
    column = at - before.rfind("\n")
    if "\n" not in program.strip("\n"):
        return f"column {column}"
    return f"line {before.count(chr(10)) + 1}, column {column}"


def line(program: str, at: int) -> str:
    """Return the line that holds an offset, without blanks around; all of a short program."""
    if "\n" not in program.strip("\n"):
        return program
    start = program.rfind("\n", 0, at) + 1
    return program[start:].partition("\n")[0].strip()


def named(message: str) -> tuple[int, int] | None:
    """Return the line and column that a message names first, None where it names none.

    The column is 0 where it names the line only.
    """
    found = _PLACE.search(message)
    return None if found is None else (int(found[1] or 1), int(found[2] or found[3] or 0))


def mark(program: str, message: str) -> str:
    """Return the line of a program that a message names, with a mark below; empty if there is none.

    Below a line without a column there is no mark, and of one line alone nothing is said then.
    What could end a line or move a cursor is shown as a blank.
    """
    number, column = named(message) or (0, 0)
    lines = program.rstrip("\n").split("\n")
    if not 1 <= number <= len(lines) or column > len(lines[number - 1]) + 1:
        return ""
    if not column and len(lines) == 1:
        return ""
    start = max(0, column - _WIDTH // 2)
    shown = lines[number - 1][start : start + _WIDTH]
    shown = "".join(letter if letter.isprintable() else " " for letter in shown)
    return f"    {shown}\n    {' ' * (column - 1 - start)}^" if column else f"    {shown}"
