"""Plans: everything that can never work is told at once, and what is hardly meant is a warning."""

import pytest
from plan_kit import dependency, event, plan, spec, trigger

from eventbus.bus import Topic
from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from sensor.templated import compile_changing
from spine.errors import ConfigError, ParameterError
from spine.model import InvalidModel, load
from spine.runtime import Backoff


def src(name: str = "orders", **src: object) -> dict:
    return {"src": {"dependencyName": name} | src, "dest": "x"}


def test_every_problem_is_told_with_its_place() -> None:
    with pytest.raises(InvalidModel) as caught:
        plan(
            dependency("a", filters={"data": [{"path": "x", "type": "number", "value": ["ten"]}]}),
            dependency("a"),
            dependency("b", transform={"jq": "{a:"}),
            triggers=[
                trigger("t", "a && nosuch"),
                trigger("t", "a", http={"url": "nowhere"}),
                trigger("u", "a") | {"dlqTrigger": trigger("v", http={"url": "nowhere"})},
            ],
        )
    assert [str(p).partition(": ")[0] for p in caught.value.problems] == [
        "dependencies[1].name",
        "triggers[1].template.name",
        "triggers[0].template.conditions",
        "triggers[1].template.http",
        "triggers[2].dlqTrigger.template.http",
        "dependencies[0].filters",
        "dependencies[2].transform",
    ]
    assert "'a': this name is taken by dependencies[0]" in str(caught.value)


def test_only_what_a_trigger_waits_for_is_read() -> None:
    made = plan(dependency("a"), dependency("b"), triggers=[trigger("t", "a")])
    assert made.topics == (Topic("shop", "a"),)
    assert list(made.dependencies) == ["a"]
    assert [str(w) for w in made.warnings] == ["dependencies[1]: b: no trigger waits for it"]


def test_topics_never_overlap() -> None:
    def topics(*pairs: tuple[str, str]) -> tuple[Topic, ...]:
        named = [
            {"name": f"d{i}", "eventSourceName": s, "eventName": n}
            for i, (s, n) in enumerate(pairs)
        ]
        return plan(*named).topics

    assert topics(("s", "a"), ("s", "a"), ("s", "b")) == (Topic("s", "a"), Topic("s", "b"))
    assert topics(("s", "*"), ("s", "a"), ("t", "a")) == (Topic("s", "*"), Topic("t", "a"))
    assert topics(("s", "*"), ("*", "a")) == (Topic("*", "*"),)
    assert topics(("*", "*"), ("s", "a")) == (Topic("*", "*"),)


def test_wildcards_find_their_events() -> None:
    made = plan(
        dependency("all", eventName="*"), dependency("b"), triggers=[trigger("t", "all||b")]
    )
    assert [d.name for d in made.dependencies_of("shop", "b")] == ["all", "b"]
    assert [d.name for d in made.dependencies_of("shop", "c")] == ["all"]
    assert made.dependencies_of("other", "b") == ()
    assert made.expects("shop", "zzz")
    assert not made.expects("other", "b")


def test_what_an_entry_says_of_its_delivery() -> None:
    entry = trigger() | {
        "retryStrategy": {"steps": 3},
        "rateLimit": {"unit": "Minute", "requestsPerUnit": 30},
        "atLeastOnce": True,
        "dlqTrigger": trigger("sorry"),
    }
    planned = plan(triggers=[entry]).triggers["tell"]
    assert planned.retry == Backoff(steps=3)
    assert planned.rate_limit is not None
    assert planned.rate_limit.spacing == 2.0
    assert planned.at_least_once is True
    assert planned.fallback is not None
    assert (planned.fallback.name, planned.fallback.retry) == ("sorry", None)
    assert plan().triggers["tell"].retry is None


def test_a_policy_travels_with_the_action() -> None:
    entry = trigger(http={"url": "http://x"}) | {"policy": {"status": {"allow": [201]}}}
    planned = plan(triggers=[entry]).triggers["tell"]
    assert planned.render({"orders": event()}, "k").content["allow"] == [201]


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        (
            trigger(http={"url": "http://x", "payload": [src("order")]}),
            (
                "triggers[0].template.http.payload[0].src.dependencyName: no dependency is called "
                "'order' (did you mean orders)"
            ),
        ),
        (
            trigger(conditions="orders") | {"parameters": [src("more", dataKey="x")]},
            (
                "triggers[0].parameters[0].src.dependencyName: 'more' is not in the conditions "
                "of this trigger, so it is never there"
            ),
        ),
        (
            trigger() | {"policy": {"status": {"allow": [200]}}},
            "triggers[0].policy.status: ignored: log gets no status",
        ),
        (
            trigger() | {"policy": {"k8s": {"labels": {"a": "b"}}}},
            "triggers[0].policy.k8s: ignored: log makes no Kubernetes object",
        ),
        (
            trigger(http={"url": "later"})
            | {"parameters": [src(value="http://x") | {"dest": "http.url"}]},
            "triggers[0].template.http: without its parameters: reading http.url 'later'",
        ),
    ],
)
def test_what_is_hardly_meant_warns(entry: dict, warning: str) -> None:
    made = plan(dependency(), dependency("more"), triggers=[entry, trigger("rest")])
    assert any(str(w).startswith(warning) for w in made.warnings), made.warnings
    assert all(w.warning for w in made.warnings)


# ---------------------------------------------------------------------------- parameters


def changed(*parameters: dict, data: bytes = b"{}", **http: object) -> dict:
    entry = trigger(http={"url": "http://x/", "timeout": 5} | http) | {
        "parameters": list(parameters)
    }
    planned = plan(triggers=[entry]).triggers["tell"]
    return planned.render({"orders": event(data=data)}, "k").content


def put(dest: str, **src: object) -> dict:
    return {"src": {"dependencyName": "orders"} | src, "dest": dest}


def test_parameters_change_the_template_for_one_event() -> None:
    made = changed(
        put("http.url", dataKey="path") | {"operation": "append"},
        put("http.timeout", dataKey="t", useRawData=True),
        put("http.headers.X-Id", contextKey="id"),
        data=b'{"path":"a","t":7}',
    )
    assert (made["url"], made["timeout"], made["headers"]) == ("http://x/a", 7, {"X-Id": "1"})


def test_template_parameters_come_before_those_of_the_kind() -> None:
    own = {"src": {"dependencyName": "orders", "value": "?"}, "dest": "url", "operation": "append"}
    assert changed(put("http.url", value="http://y/"), parameters=[own])["url"] == "http://y/?"


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        (put("http.timeout", value="7"), "http.timeout: '7': input should be a valid integer"),
        (put("http.timeout", dataKey="f", useRawData=True), "http.timeout: 1.5: input should be"),
        (
            put("http.headers.X", dataKey="f", useRawData=True),
            "http.headers.X: 1.5: input should be",
        ),
        (put("http.url", value="nowhere"), "scheme '' is not http or https"),
        (put("http.url", dataKey="nope"), "resolving dataKey 'nope'"),
        (put("http", value="x"), "http: "),
    ],
)
def test_parameters_that_do_not_fit_are_a_fault_of_the_event(parameter: dict, problem: str) -> None:
    with pytest.raises(ParameterError) as caught:
        changed(parameter, data=b'{"f":1.5}')
    assert problem in str(caught.value)


def test_equal_results_are_compiled_once_and_few_are_kept() -> None:
    compiled: list[bytes] = []

    def build(document: bytes):
        compiled.append(document)
        return lambda events: {"made": document}

    def apply(document: bytes, events) -> bytes:
        return document + events["orders"].id.encode()

    render = compile_changing(b"x", apply, build)
    for one in ["1", "2", "1", "2"]:
        assert render({"orders": event(id=one)}) == {"made": b"x" + one.encode()}
    assert compiled == [b"x1", b"x2"]
    for number in range(100, 200):
        render({"orders": event(id=str(number))})
    render({"orders": event(id="1")})
    assert compiled[-1] == b"x1", "long forgotten"


def test_an_unknown_field_and_a_new_name_have_no_effect() -> None:
    made = changed(
        put("http.flavour", value="x"), put("name", value="x"), put("conditions", value="?")
    )
    assert made["url"] == "http://x/"


# ---------------------------------------------------------------------------- identity


def test_fingerprint_changes_with_every_edit_and_with_nothing_else() -> None:
    assert plan().fingerprint == plan().fingerprint
    other = plan(dependency(filters={"context": {"type": "webhook"}}))
    assert other.fingerprint != plan().fingerprint
    assert other.dependencies["orders"].fingerprint != plan().dependencies["orders"].fingerprint


def test_start() -> None:
    for text, moment in (("new", "new"), ("all", "all"), ("1h", 1000.0 - 3600)):
        made = compile_plan("s", "ns", load(SensorSpec, spec() | {"startFrom": text}))
        assert made.start(1000.0) == moment


def test_safe_is_told_by_the_programs() -> None:
    assert plan(dependency(transform={"jq": "{a: .b}"})).safe
    assert not plan(dependency(transform={"jq": "def f: f; f"})).safe


def test_a_problem_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="Sensor till: triggers"):
        plan(triggers=[trigger("t", "nosuch")])
