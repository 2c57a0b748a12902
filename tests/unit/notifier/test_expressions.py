"""Expressions: what they give, what they read, what is doubtful about them."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.expressions import compile_expression
from notifier.variables import ALWAYS, variables
from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.exprlang import MissingValue

NAMES = ALWAYS | {"app", "pod"}
APP: dict[str, Any] = {
    "kind": "Application",
    "metadata": {"name": "shop", "generation": 4, "labels": {"team": "search"}},
    "spec": {"source": {"repoURL": "git@github.com:acme/shop.git"}},
    "status": {
        "phase": "Running",
        "since": "2024-01-02T03:04:05Z",
        "conditions": [{"type": "Ready", "status": "False"}, {"type": "Issuing"}],
    },
}
HEALTH = {"status": "Degraded", "message": "crashes", "previous": "Healthy", "since": 1_700_000_000}


def value(text: str) -> Any:
    known = variables(
        APP,
        alias="app",
        context={"runbook": "https://books"},
        health=HEALTH,
        extra={"event": {"type": "ADDED"}},
    )
    return compile_expression(text, variables=NAMES).value(known)


@dataclass(frozen=True)
class Case:
    text: str
    wanted: Any = True

    def __str__(self) -> str:
        return self.text


VALUES = [
    Case("app.metadata.name == obj.metadata.name"),
    Case("health.status == 'Degraded' and health.previous == 'Healthy'"),
    Case("time.Now().Sub(health.since).Hours() > 1000"),
    Case("health.since.Unix()", 1_700_000_000),
    Case("event.type", "ADDED"),
    Case("resolved", False),
    Case("context.runbook", "https://books"),
    Case("context.notificationType", ""),
    Case("time.Parse(obj.status.since).Format('2006-01-02')", "2024-01-02"),
    Case("time.Parse(obj.status.since).Add(90 * time.Minute).Format(time.Kitchen)", "4:34AM"),
    Case("string(time.Hour + time.Second * 2)", "1h0m2s"),
    Case("time.Nanosecond < time.Microsecond and time.Millisecond < time.Second"),
    Case("strings.ReplaceAll(obj.status.phase, 'n', 'm')", "Rummimg"),
    Case("strings.ToUpper('a') + strings.ToLower('B')", "Ab"),
    Case("strings.ToUpper(obj.nothing)", ""),
    Case("repo.FullNameByRepoURL(app.spec.source.repoURL)", "acme/shop"),
    Case("any(obj.status?.conditions ?? [], {.type == 'Ready' and .status == 'False'})"),
    Case("pod", None),
    Case("appProject?.metadata.name", None),
]


@pytest.mark.parametrize("case", VALUES, ids=str)
def test_values(case: Case) -> None:
    assert value(case.text) == case.wanted


@dataclass(frozen=True)
class Nil:
    """An expression that stumbles over nil, and what its error advises."""

    text: str
    advice: str

    def __str__(self) -> str:
        return self.text


NILS = [
    Nil(
        "app.status.operationState.phase == 'Error'",
        "app.status.operationState is nil: write app.status.operationState?.phase",
    ),
    Nil(
        "app.status?.operationState.phase in ['Error']",
        "app.status?.operationState is nil: write app.status?.operationState?.phase",
    ),
    Nil("obj.a.b.c == 1", "obj.a is nil: write obj.a?.b?.c"),
    Nil("obj.a['x/y'].c == 1", "obj.a is nil: write obj.a?.['x/y']?.c"),
    Nil("pod.status == 1", "pod is nil: write pod?.status"),
    Nil("any(obj.status.conditions, {.x.y == 1})", "#.x is nil: write #.x?.y"),
    Nil(
        "obj.status.phase == 'x' or obj.a?.b.c == 1 or obj.b.z.y", "obj.b is nil: write obj.b?.z?.y"
    ),
    Nil("any(obj.list, {.x})", "obj.list is nil: write obj.list ?? []"),
    Nil("obj.a?.b.c > 3", "<nil> > int is not possible: obj.a?.b.c is nil"),
    Nil("len(obj.list) > 3", "len does not take <nil>: obj.list is nil"),
    Nil("not obj.ready", "obj.ready is nil: write obj.ready ?? false"),
    Nil("obj.ready ? 1 : 2", "obj.ready is nil: write obj.ready ?? false"),
    Nil("obj.ready and true == obj.x", "obj.ready is nil: write obj.ready ?? false"),
    Nil("let s = obj.sub; s.x == 1", "s is nil: write s?.x"),
]


@pytest.mark.parametrize("case", NILS, ids=str)
def test_an_error_says_what_was_nil_and_what_to_write(case: Nil) -> None:
    with pytest.raises(MissingValue) as caught:
        value(case.text)

    assert str(caught.value).endswith(case.advice)


@pytest.mark.parametrize(
    "text",
    ["time.Parse('yesterday')", "time.Parse(nil)", "strings.ToUpper(3)", "obj.metadata.name + 1"],
)
def test_other_errors_stay_as_they_are(text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(text)

    assert "write" not in str(caught.value)


REFUSED = [
    ("obj.", "a name is missing"),
    ("lenn(obj)", "no function is called lenn (did you mean len?)"),
    ("time.Noww()", "time has no function Noww (did you mean Now?)"),
    ("repo.GetCommit(obj.x)", "repo has no function GetCommit"),
    ("secrets.token == 'x'", "secrets cannot be read here"),
    ("1 == '1'", "is not possible"),
    ("!obj.a in ['x']", "is not possible"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=str)
def test_what_can_never_work_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_expression(text, variables=NAMES)

    assert why in str(caught.value)


WARNINGS = [
    Case("app.status?.operationState?.phase == 'x'", ()),
    Case(
        "app.status?.operationState.phase == 'x'",
        ("write app.status?.operationState?.phase",),
    ),
    Case("obj.a?.b.c.d == 1", ("write obj.a?.b?.c",)),
    Case("obj.a?.list[0] == 1", ("obj.a?.list[0]: the index fails where obj.a?.list is nil",)),
    Case("obj.a?.list?.[0] == 1", ()),
    Case("!obj.x in obj.y", ("write obj.x not in",)),
    Case("obj.x not in obj.y", ()),
    Case("obj.x in ['', 'a']", ("obj.x in ['', …] is true for nil",)),
    Case("obj.x in ['b', 'a']", ()),
    Case("any(obj.list, {.x == 1})", ("write obj.list ?? []",)),
    Case("any(obj?.list, {.x == 1})", ("write obj?.list ?? []",)),
    Case("any(obj.list ?? [], {.x == 1})", ()),
    Case("any(filter(obj.list ?? [], {.x == 1}), {.y == 2})", ()),
    Case("ap.status == 1", ("nothing is called ap, so it is nil (did you mean app?)",)),
    Case("rollout.status == 1", ("nothing is called rollout, so it is nil (there is app,",)),
    Case("obj.x == null", ("null is a variable that does not exist: write nil",)),
    Case("let x = obj.a; x == 1", ()),
    Case("obj.t > time.Day", ("time.Day does not exist, so it is nil",)),
]


@pytest.mark.parametrize("case", WARNINGS, ids=str)
def test_warnings(case: Case) -> None:
    found = compile_expression(case.text, variables=NAMES).warnings

    assert len(found) == len(case.wanted), found
    for text, part in zip(found, case.wanted, strict=True):
        assert part in text


@dataclass(frozen=True)
class Read:
    text: str
    fields: set[str] | None
    roots: set[str] | None = field(default_factory=lambda: {"obj"})
    clock: bool = False

    def __str__(self) -> str:
        return self.text


READS = [
    Read("true", set(), set()),
    Read(
        "obj.status.phase == 'x' and app.spec.replicas > 2",
        {"status.phase", "spec.replicas"},
        {"obj", "app"},
    ),
    Read("obj.status?.a?.b == nil or obj.status.a.b.c == 1", {"status.a.b"}),
    Read("obj['status']['x/y'] == 1", {"status.x/y"}),
    Read("obj.list[0].name == 'x'", {"list.*.name"}),
    Read("obj.labels[obj.metadata.name] == 'x'", {"labels.*", "metadata.name"}),
    Read("any(obj.c ?? [], {.type == 'R' and .s == 'x'})", {"c.*.type", "c.*.s"}),
    Read("any(obj.c, {.t == 1}) and all(obj.c, {.t == 2})", {"c.*.t"}),
    Read("any(obj.a, {any(.b, {.c == 1})})", {"a.*.b.*.c"}),
    Read("any(obj.c, {true})", {"c"}),
    Read("any(obj.c, {# == 'x'})", {"c.*"}),
    Read("len(obj.c) > 2", {"c"}),
    Read("filter(obj.c, {.x == 1})[0].y == 2", {"c.*.x", "c.*.y"}),
    Read("find(obj.c, {.x == 1})?.y == 2", {"c.*.x", "c.*.y"}),
    Read("filter(obj.c, {.x == 1}) == []", {"c"}),
    Read("map(obj.c, {.x})[0] == 2", {"c.*.x"}),
    Read("first(obj.c).x == 1", {"c.*.x"}),
    Read("get(obj.a, 'b') == 1", {"a.b"}),
    Read("let s = obj.status; s.x == 1 or s?.y.z == 2", {"status.x", "status.y.z"}),
    Read("(obj.a ?? obj.b).c == 1", {"a.c", "b.c"}),
    Read("(obj.a ? obj.b : obj.c).d == 1", {"a", "b.d", "c.d"}),
    Read("toJSON(obj) contains 'x'", None),
    Read("toJSON(obj.spec) contains 'x'", {"spec"}),
    Read("'x' in $env", None, None),
    Read("$env['obj'].a == 1", {"a"}),
    Read("$env[obj.name].a == 1", None, None),
    Read("health.status == 'x' and context.y == 'z'", set(), {"health", "context"}),
    Read("time.Now().Unix() > obj.x", {"x"}, {"time", "obj"}, clock=True),
    Read("now().Unix() > obj.x", {"x"}, clock=True),
    Read("time.Parse(obj.x).Unix() > 1", {"x"}, {"time", "obj"}),
    Read("obj.a matches 'x' ? obj.b : nil", {"a", "b"}),
    Read("repo.GetCommitMetadata(obj.r).Message", {"r", "metadata", "spec"}, {"repo", "obj"}),
    Read("null == obj.x and ghost.y == 1", {"x"}),
]


@pytest.mark.parametrize("case", READS, ids=str)
def test_what_it_reads(case: Read) -> None:
    found = compile_expression(case.text, variables=NAMES).reads

    fields = None if found.fields is None else {".".join(path) for path in found.fields}
    assert fields == case.fields
    assert found.roots == case.roots
    assert found.clock == case.clock


def pruned(value: Any, paths: list[tuple[str, ...]]) -> Any:
    """Return an object with nothing but what paths lead to; containers on the way stay."""
    if () in paths:
        return value
    if isinstance(value, list):
        return [pruned(one, [path[1:] for path in paths if path[0] == "*"]) for one in value]
    if not isinstance(value, dict):
        return value
    below = {key: [path[1:] for path in paths if path[0] in {key, "*"}] for key in value}
    return {key: pruned(value[key], some) for key, some in below.items() if some}


LEAF = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["R", "x", ""])
KEYS = st.sampled_from(["a", "b", "c", "list"])
TREE = st.recursive(
    LEAF, lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3)
)
PATH = st.lists(st.tuples(st.sampled_from([".", "?."]), KEYS), min_size=1, max_size=3).map(
    lambda steps: "obj" + "".join(sign + key for sign, key in steps)
)
TEST = st.one_of(
    st.tuples(PATH, st.sampled_from(["== 'R'", "!= nil", "== 1", "> 1"])).map(" ".join),
    st.tuples(
        st.sampled_from(["any", "all", "none", "one"]),
        PATH,
        st.sampled_from(
            ["# == 'R'", ".a == 1", ".b?.c == nil", "true", "any(.list ?? [], # == 1)"]
        ),
    ).map(lambda parts: f"{parts[0]}({parts[1]} ?? [], {{{parts[2]}}})"),
    PATH.map(lambda path: f"len({path} ?? []) > 1"),
    st.tuples(PATH, PATH).map(lambda two: f"({two[0]} ?? {two[1]})?.a == 1"),
    PATH.map(lambda path: f"filter({path} ?? [], {{.a == 1}})[0]?.b == 'x'"),
    PATH.map(lambda path: f"let v = {path}; v?.a == 'R' or v == nil"),
)


@settings(max_examples=400, deadline=None)
@given(tree=st.dictionaries(KEYS, TREE, max_size=4), text=TEST)
def test_what_it_does_not_read_does_not_matter(tree: dict[str, Any], text: str) -> None:
    expression = compile_expression(text, variables=NAMES)
    fields = expression.reads.fields
    assert fields is not None

    def outcome(obj: Any) -> Any:
        try:
            return expression.value({"obj": obj})
        except EvaluationError as exc:
            return type(exc)

    assert outcome(pruned(tree, list(fields))) == outcome(tree)
