"""Conditions on array elements, and the patterns they may use."""

from collections.abc import Callable

from spine.lang.gjson.document import Kind, Result, unquote
from spine.lang.gjson.grammar import glob
from spine.lang.gonumber import parse_float

Test = Callable[[Result | None], bool]
"""Says whether what was found at a condition's path satisfies it; None is found nowhere."""


def compile_test(operator: str, operand: str) -> Test:
    """Return the test that an operator and its right side stand for."""
    if not operator:
        return lambda value: value is not None
    if operand.startswith("~"):
        return _converted(operator, operand)
    if operand.startswith('"'):
        operand = unquote(operand.encode())
    number = parse_float(operand)
    by_kind: dict[Kind, Callable[[Result], bool]] = {
        Kind.STRING: _string_test(operator, operand),
        Kind.NUMBER: _number_test(operator, 0.0 if number is None else number),
        Kind.TRUE: lambda _: _true_test(operator, operand),
        Kind.FALSE: lambda _: _false_test(operator, operand),
    }

    def test(value: Result | None) -> bool:
        check = None if value is None else by_kind.get(value.kind)
        return check is not None and value is not None and check(value)

    return test


def _converted(operator: str, operand: str) -> Test:
    """Return a test that takes the value for true or false first: `~true ~false ~null ~*`."""
    conversions: dict[str, Test] = {
        "~true": lambda value: value is not None and value.boolean,
        "~false": lambda value: value is None or not value.boolean,
        "~null": lambda value: value is None or value.kind is Kind.NULL,
        "~*": lambda value: value is not None,
    }
    convert = conversions.get(operand)
    if convert is None:
        return lambda _: False
    passing = _true_test(operator, "true"), _false_test(operator, "true")
    return lambda value: passing[0] if convert(value) else passing[1]


def _string_test(operator: str, operand: str) -> Callable[[Result], bool]:
    tests: dict[str, Callable[[Result], bool]] = {
        "=": lambda value: value.text == operand,
        "==": lambda value: value.text == operand,
        "!=": lambda value: value.text != operand,
        "<": lambda value: value.text < operand,
        "<=": lambda value: value.text <= operand,
        ">": lambda value: value.text > operand,
        ">=": lambda value: value.text >= operand,
        "%": lambda value: glob(value.text, operand),
        "!%": lambda value: not glob(value.text, operand),
    }
    return tests.get(operator, lambda _: False)


def _number_test(operator: str, operand: float) -> Callable[[Result], bool]:
    tests: dict[str, Callable[[Result], bool]] = {
        "=": lambda value: value.number == operand,
        "==": lambda value: value.number == operand,
        "!=": lambda value: value.number != operand,
        "<": lambda value: value.number < operand,
        "<=": lambda value: value.number <= operand,
        ">": lambda value: value.number > operand,
        ">=": lambda value: value.number >= operand,
    }
    return tests.get(operator, lambda _: False)


def _true_test(operator: str, operand: str) -> bool:
    tests = {
        "=": operand == "true",
        "==": operand == "true",
        "!=": operand != "true",
        ">": operand == "false",
        ">=": True,
    }
    return tests.get(operator, False)


def _false_test(operator: str, operand: str) -> bool:
    tests = {
        "=": operand == "false",
        "==": operand == "false",
        "!=": operand != "false",
        "<": operand == "true",
        "<=": True,
    }
    return tests.get(operator, False)
