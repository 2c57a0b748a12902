"""Where in a program something is wrong, as a person finds it: by line and column, from 1."""


def place(program: str, at: int) -> str:
    """Return `column 5`, or `line 2, column 5` where the program has several lines."""
    before = program[:at]
    column = at - (before.rfind("\n") + 1) + 1
    if "\n" not in program.strip("\n"):
        return f"column {column}"
    return f"line {before.count(chr(10)) + 1}, column {column}"


def line(program: str, at: int) -> str:
    """Return the line that holds an offset, without blanks around; all of a short program."""
    if "\n" not in program.strip("\n"):
        return program
    start = program.rfind("\n", 0, at) + 1
    return program[start:].partition("\n")[0].strip()


def mark(program: str, number: int, column: int) -> str:
    """Return a line of a program, from 1, and below it a mark at a column; empty: there is none."""
    lines = program.split("\n")
    if not 1 <= number <= len(lines) or not 1 <= column <= len(lines[number - 1]) + 1:
        return ""
    shown = lines[number - 1]
    blank = "".join("\t" if letter == "\t" else " " for letter in shown[: column - 1])
    return f"{shown}\n{blank}^"
