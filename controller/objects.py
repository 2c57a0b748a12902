"""One object of a manifest on its way to a checked specification.

Old shapes are rewritten, the model validates, a Sensor is planned. Every complaint is a Finding
at the line where the user wrote what it is about, in `lint`, `run` and in a pod alike.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spine.compat import FILE, Modern, modernise
from spine.errors import ConfigError
from spine.lang import pointing
from spine.manifest import Finding, Object, Severity
from spine.model import InvalidModel, Model, Path, Problem, load
from spine.secrets import KeyRef, Referring

if TYPE_CHECKING:
    from spine.warned import Warned

DEFAULT_BUS = "default"
"""The EventBus of an object that names none."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An object and what came of checking it."""

    object: Object
    modern: Modern
    spec: Any
    """The model of its kind, such as SensorSpec; None where it does not fit."""
    plan: Any = None
    """Plan of a Sensor; None for other kinds, and where it cannot be made."""
    implied: bool = False
    """Whether no manifest holds it: it follows from others."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.object.namespace, self.object.name

    @property
    def bus(self) -> tuple[str, str]:
        """Namespace and name of the EventBus that the object uses."""
        name = self.modern.raw["spec"].get("eventBusName")
        return self.object.namespace, name if isinstance(name, str) and name else DEFAULT_BUS

    def finding(self, path: Path, message: str, severity: Severity = "error") -> Finding:
        """Say something about a path of the rewritten object."""
        return self.object.finding(self.modern.origin(path), message, severity)


def model_of(kind: str) -> type[Model]:
    """Return the model of the `spec` of a kind."""
    if kind == "EventBus":
        from eventbus.spec import EventBusSpec

        return EventBusSpec
    if kind == "EventSource":
        from eventsource.spec import EventSourceSpec

        return EventSourceSpec
    if kind == "Notifier":
        from notifier.spec import NotifierSpec

        return NotifierSpec
    from sensor.spec import SensorSpec

    return SensorSpec


def check_object(obj: Object, *, lenient: bool = False) -> tuple[Checked, list[Finding]]:
    """Rewrite, validate and plan one object.

    `lenient` makes unknown fields warnings: for a process that was handed a stored object.
    """
    modern = modernise(obj.kind, obj.raw)
    findings = [_finding(obj, modern, p, origin=False) for p in modern.problems]
    warnings: list[Warned] = []
    spec: Any = None
    try:
        spec = load(
            model_of(obj.kind),
            modern.raw["spec"],
            what=str(obj),
            lenient=lenient,
            on_warning=warnings.append,
        )
    except ConfigError as exc:
        findings += _complaints(obj, modern, exc)
    for one in warnings:
        path = ("spec", *one.path) if one.path is not None else _guess(modern.raw, one)
        findings.append(_finding(obj, modern, Problem(path, one, warning=True)))
    if spec is None or obj.kind != "Sensor" or any(f.severity == "error" for f in findings):
        return Checked(obj, modern, spec), findings
    plan, more = _plan(obj, modern, spec)
    return Checked(obj, modern, spec, plan), findings + more


def _plan(obj: Object, modern: Modern, spec: Any) -> tuple[Any, list[Finding]]:
    from sensor.plan import compile_plan

    try:
        plan = compile_plan(obj.name, obj.namespace, spec)
    except ConfigError as exc:
        return None, _complaints(obj, modern, exc)
    found = [Problem(("spec", *p.path), p.message, warning=True) for p in plan.warnings]
    return plan, [_finding(obj, modern, p) for p in found]


def _complaints(obj: Object, modern: Modern, exc: ConfigError) -> list[Finding]:
    if not isinstance(exc, InvalidModel):
        return [obj.finding(("spec",), str(exc))]
    return [
        _finding(obj, modern, Problem(("spec", *p.path), p.message, p.warning))
        for p in exc.problems
    ]


def _finding(obj: Object, modern: Modern, problem: Problem, *, origin: bool = True) -> Finding:
    path = problem.path
    if origin:
        path = modern.origin(_program_of(modern.raw, path, problem.message))
    severity: Severity = "warning" if problem.warning else "error"
    message = problem.message + _quotes(obj, path, problem.message)
    at, program = pointing.named(message), _at(obj.raw, path)
    if at is None or not isinstance(program, str):
        return obj.finding(path, message, severity)
    place, excerpt = obj.place_in_text(path, at[0], at[1] or 1), pointing.mark(program, message)
    return Finding(place, path, message, severity, excerpt)


_BEGINNING = 60
"""Characters of a long program that messages show."""
_COMPILING = re.compile(r"(?:compiling|reading) [a-zA-Z. -]+ (?=['\"])")


def _program_of(raw: Any, path: Path, message: str) -> Path:
    """Return the path of the program, at or below a path, that a message quotes.

    Whoever compiles knows what it compiles, and seldom in which field it stands. Where two fields
    hold the same text, neither is meant more.
    """
    node = _at(raw, path)
    if not isinstance(node, dict | list):
        return path
    for quoted in reversed([message[m.end() :] for m in _COMPILING.finditer(message)]):
        found = [below for below, text in _texts(node, path) if _quotes_it(quoted, text)]
        if found:
            return found[0] if len(found) == 1 else path
    return path


def _quotes_it(quoted: str, text: str) -> bool:
    """Return whether a message goes on with a text, its beginning, or a line of it, in quotes."""
    shown = (text, f"{text[:_BEGINNING]}…", *map(str.strip, text.split("\n")))
    return any(quoted.startswith(repr(one)) for one in shown)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield all texts in a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(one, (*path, key))


def _at(value: Any, path: Path) -> Any:
    """Return what stands at a path, None where nothing does."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _quotes(obj: Object, path: Path, message: str) -> str:
    """Tell what YAML made of a word or number that was meant as a text."""
    if "valid string" not in message:
        return ""
    value = _at(obj.raw, path)
    if word := obj.words.get((*obj.base, *path)):
        return f' (YAML takes {word} for a boolean: write "{word}")'
    if isinstance(value, bool):
        return f' (write "{str(value).lower()}" in quotes)'
    return f' (write "{value}" in quotes)' if isinstance(value, int | float) else ""


def _guess(raw: Mapping[str, Any], warning: str) -> Path:
    """Return where the key stands with which a warning of a model begins, if there is one."""
    key = warning.partition(":")[0]
    found = [path for path in _paths(raw["spec"], ("spec",)) if path[-1] == key]
    return found[0] if len(found) == 1 else ("spec",)


def _paths(value: Any, path: Path) -> Iterator[Path]:
    """Yield the paths of all keys and items."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, dict | list):
            yield from _paths(one, (*path, key))


# ---------------------------------------------------------------------------- references


def walk(value: Any, path: Path, visit: Callable[[Path, Model], None]) -> None:
    """Visit every model inside of a specification, with its path in YAML."""
    if isinstance(value, Model):
        visit(path, value)
        for name in value.model_fields_set:
            info = type(value).model_fields.get(name)
            alias = info.alias if info is not None and info.alias else name
            walk(getattr(value, name, None), (*path, alias), visit)
        if isinstance(value, Referring):
            for inner, ref in value.secret_references():
                visit((*path, *inner), ref)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            walk(item, (*path, key), visit)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            walk(item, (*path, index), visit)


def references(checked: Checked) -> list[tuple[Path, KeyRef]]:
    """Return the Secrets and ConfigMaps that an object cannot do without, with their paths."""
    found: list[tuple[Path, KeyRef]] = []

    def visit(path: Path, model: Model) -> None:
        if isinstance(model, KeyRef) and model.name != FILE and not model.optional:
            found.append((path, model))

    walk(checked.spec, ("spec",), visit)
    return found
