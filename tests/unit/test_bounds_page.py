"""docs/bounds.md says what the code has: each figure, each test, and every queue and cache."""

import ast
import dataclasses
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bounds.md").read_text()
PACKAGES = (
    "controller",
    "delivery",
    "eventbus",
    "eventsource",
    "notifier",
    "sensor",
    "services",
    "spine",
    "tocsin",
)
FIGURE = re.compile(r"([\d,.]+)(?:th|s)?(?: ([KM]iB))? `([a-z_.]+):([\w.]+)`")
UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2}
FIGURES = [
    pytest.param(number, unit, module, name, id=f"{module}:{name}")
    for number, unit, module, name in dict.fromkeys(FIGURE.findall(PAGE))
]
NAMED = {(module, name) for _, _, module, name in FIGURE.findall(PAGE)}
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def value_of(module: str, name: str) -> Any:
    """Return a constant, the default of a field, or how many results a function remembers."""
    found: Any = importlib.import_module(module)
    for step in name.split("."):
        fields = {f.name: f.default for f in dataclasses.fields(found)} if _is_class(found) else {}
        found = fields.get(step, getattr(found, step))
    return found.cache_parameters()["maxsize"] if hasattr(found, "cache_parameters") else found


def _is_class(found: Any) -> bool:
    return isinstance(found, type) and dataclasses.is_dataclass(found)


@pytest.mark.parametrize(("number", "unit", "module", "name"), FIGURES)
def test_a_figure_is_that_of_the_code(number: str, unit: str, module: str, name: str) -> None:
    assert float(number.replace(",", "")) * UNITS[unit] == value_of(module, name)


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)


def test_each_row_names_a_test() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and row.count("|") > 3]
    rows = [row for row in rows if not row.startswith("| what |")]
    assert len(rows) > 80
    assert not [row for row in rows if not re.search(r"`tests/[\w/]+\.py::\w+` \|$", row)]


# ---------------------------------------------------------------------------- what is missing

SIZES = re.compile(
    r"_?([A-Z]+_)*(AT_ONCE|IN_FLIGHT|WAITING|HELD|KEPT|BATCH|WINDOW|CONNECTIONS|REMEMBERED|QUEUE"
    r"|WORKERS|SEEN|BUFFER|REDRIVES|ORPHANS|LOOKED|BUCKETS|STALE|LITTER|AHEAD|SHARED|ASKING"
    r"|ABREAST|SAID|CONTEXTS|THREADS|PEOPLE|BACKLOG|PENDING)(_BYTES)?"
)
"""Names of constants that bound what waits, is under way, or is kept."""
OTHERS = {
    ("eventsource.aws.subscription", "PENDING"): "seconds",
    ("controller.queue", "AHEAD"): "seconds",
    ("notifier.state", "KEPT_FOR"): "seconds",
    ("sensor.kubernetes.graves", "KEPT"): "seconds",
    ("notifier.config.extras", "LONGEST_WINDOW"): "seconds",
    ("sensor.ticking", "BACKLOG"): "seconds",
    ("spine.lang.limits", "_MOST_WORKERS"): "what may be asked for",
    ("spine.lang.lua.engine", "_LITTER"): "bytes of an engine, above which it is cleaned",
    ("tocsin.generate", "STALE"): "an exit code",
}
"""Constants that are called so and are none."""
STORES = {
    ("controller.admission.webhook", "Semaphore"): "AT_ONCE",
    ("controller.adoption.unacknowledged", "Queue"): "BATCH",
    ("controller.runner", "Queue"): "WORKERS",
    ("controller.workload.checking", "OrderedDict"): "KEPT",
    ("controller.workload.durables", "WeakValueDictionary"): "locks that somebody holds",
    ("controller.workload.reports", "Queue"): "ASKING",
    ("delivery.lane", "Semaphore"): "maxInFlight",
    ("delivery.report", "deque"): "Reporter.WAITING",
    ("eventbus.jetstream.publisher", "deque"): "WINDOW",
    ("eventbus.jetstream.reading", "Queue"): "BATCH",
    ("eventbus.memory", "defaultdict"): "for tests and dry runs: a stream for each name",
    ("eventsource.aws.queue", "deque"): "MOST",
    ("eventsource.aws.signature", "OrderedDict"): "KEPT",
    ("eventsource.files.watching", "ThreadPoolExecutor"): "one thread, which is waited for",
    ("eventsource.nats.core", "deque"): "WAITING",
    ("eventsource.objects.observer", "Semaphore"): "IN_FLIGHT",
    ("eventsource.objects.observer", "deque"): "SEEN",
    ("eventsource.registration", "Semaphore"): "AT_ONCE",
    ("eventsource.sources.sqs", "Queue"): "a queue of SQS",
    ("notifier.handling", "Semaphore"): "IN_FLIGHT",
    ("notifier.repo", "OrderedDict"): "KEPT",
    ("sensor.intake", "OrderedDict"): "REMEMBERED",
    ("sensor.kubernetes.git.repositories", "OrderedDict"): "KEPT",
    ("sensor.kubernetes.git.repositories", "Semaphore"): "AT_ONCE",
    ("sensor.objects", "WeakValueDictionary"): "locks that somebody holds",
    ("sensor.telling", "Semaphore"): "AT_ONCE",
    ("services.awssqs", "OrderedDict"): "_KEPT",
    ("services.bounded", "OrderedDict"): "as its users say: PEOPLE, REMEMBERED",
    ("services.github", "OrderedDict"): "REMEMBERED",
    ("services.slack_threads", "WeakValueDictionary"): "locks that somebody holds",
    ("services.smtp", "Semaphore"): "CONNECTIONS",
    ("spine.github_app", "defaultdict"): "a lock for each GitHub App of the manifests",
    ("spine.http.wire", "deque"): "connections that were in use at a time, until they are swept",
    ("spine.lang.lua.engine", "WeakKeyDictionary"): "programs that are in use",
    ("spine.kube.discovery", "WeakValueDictionary"): "locks that somebody holds",
    ("spine.lang.guard", "Queue"): "a place for each worker",
    ("tocsin.tail", "Queue"): "AHEAD",
}
"""What holds more than one thing, and the constant of its module, or what else, bounds it."""
TWICE = {("eventsource.aws.signature", "OrderedDict"): 3, ("sensor.intake", "OrderedDict"): 2}
FOREVER = {
    ("spine.compat.row", "steps"): "paths of a table in the code",
    ("notifier.templates", "_compiled_defaults"): "classes in the code",
    ("notifier.config.shaping", "_names"): "classes in the code",
    ("notifier.config.shaping", "_own"): "classes in the code",
    ("spine.described", "descriptions"): "classes in the code",
    ("spine.lang.lua.engine", "_source"): "files in the code",
}
"""Functions that remember what can only be so much."""
KINDS = {
    "Queue", "SimpleQueue", "PriorityQueue", "LifoQueue", "Semaphore", "BoundedSemaphore",
    "OrderedDict", "deque", "defaultdict", "ThreadPoolExecutor", "ProcessPoolExecutor",
    "WeakValueDictionary", "WeakKeyDictionary",
}  # fmt: skip


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text())


TREES = dict(modules())


def called(node: ast.AST | None) -> str:
    """Return the last part of a name, such as `deque` of `collections.deque[int]`."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return getattr(node, "attr", getattr(node, "id", ""))


def test_every_size_is_on_the_page() -> None:
    missing = []
    for module, tree in TREES.items():
        names = [called(t) for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
        names += [called(n.target) for n in tree.body if isinstance(n, ast.AnnAssign)]
        sizes = [name for name in names if SIZES.fullmatch(name)]
        numbers = [n for n in sizes if isinstance(value_of(module, n), int | float)]
        missing += [(module, name) for name in numbers if (module, name) not in NAMED]
    unknown = sorted(set(missing) - set(OTHERS))
    assert not unknown, "add a row to docs/bounds.md, and a test for it"


def test_every_queue_and_store_has_a_bound() -> None:
    found = Counter(
        (module, kind)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call | ast.keyword)
        and (kind := called(node.func if isinstance(node, ast.Call) else _factory(node))) in KINDS
    )
    known = Counter({place: TWICE.get(place, 1) for place in STORES})
    assert not found - known, "bound it, and name by what"
    for (module, _), bound in STORES.items():
        if re.fullmatch(r"[\w.]+", bound) and bound != "maxInFlight":
            assert (module, bound) in NAMED, f"{module}:{bound} has no row in docs/bounds.md"


def _factory(keyword: ast.keyword) -> ast.AST | None:
    return keyword.value if keyword.arg == "default_factory" else None


def test_every_function_that_remembers_is_on_the_page() -> None:
    found = {
        (module, node.name)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (node.args.args or node.args.kwonlyargs)  # else there is one result
        and {called(one) for one in node.decorator_list} & {"lru_cache", "cache"}
    }
    unknown = sorted(found - NAMED - set(FOREVER))
    assert not unknown, "add it to docs/bounds.md and tests/unit/spine/test_caches.py"


def test_every_function_on_the_page_is_driven() -> None:
    text = (ROOT / "tests" / "unit" / "spine" / "test_caches.py").read_text()
    functions = [(m, n) for m, n in NAMED if callable(getattr(importlib.import_module(m), n, None))]
    assert len(functions) > 20
    assert not [(m, n) for m, n in functions if f'"{m}:{n}"' not in text]
