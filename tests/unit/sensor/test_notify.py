"""The trigger `notify`: what is refused when it is planned, and what an action of it holds."""

from dataclasses import dataclass
from typing import Any

import pytest
from plan_kit import event

from delivery.action import Action
from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from sensor.triggers.notify import Notify
from spine.errors import ConfigError, ParameterError, TriggerError
from spine.model import InvalidModel, load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

SLACK = {
    "service": "slack",
    "config": {"token": "$slack-token"},
    "secret": "told",
    "recipients": ["#orders"],
    "message": "an order",
}
NATS = {"service": "nats", "config": {"url": "nats://n"}, "recipients": ["a.b"], "message": "m"}


def put(dest: str, **more: Any) -> dict[str, Any]:
    return {"src": {"dependencyName": "d", "dataKey": "id"}, "dest": dest, **more}


def planned(settings: dict[str, Any], warnings: list[str] | None = None, **entry: Any):
    spec = {
        "dependencies": [{"name": "d", "eventSourceName": "s", "eventName": "e"}],
        "triggers": [{"template": {"name": "t", "notify": settings}, **entry}],
    }
    told = (warnings if warnings is not None else []).append
    return compile_plan("till", "ns", load(SensorSpec, spec, on_warning=told)).triggers["t"]


def action(settings: dict[str, Any], data: bytes = b'{"id": "A-1"}', **entry: Any) -> Action:
    return planned(settings, **entry).render({"d": event("d", data=data)}, "key")


# ---------------------------------------------------------------------------- refused


@dataclass(frozen=True)
class Bad:
    name: str
    settings: dict[str, Any]
    path: str
    why: str

    def __str__(self) -> str:
        return self.name


BAD = [
    Bad("unknown service", SLACK | {"service": "slak"}, "service", "did you mean slack"),
    Bad("service nobody knows", SLACK | {"service": "fax"}, "service", "there are alertmanager, "),
    Bad("unknown setting", SLACK | {"config": {"token": "$t", "usernme": "x"}}, "config.usernme",
        "unknown field (did you mean username)"),
    Bad("unknown setting with a reference", SLACK | {"config": {"tokn": "$t"}}, "config.tokn",
        "unknown field (did you mean token)"),
    Bad("missing setting", SLACK | {"config": {}}, "config.token", "required field is missing"),
    Bad("no Secret named", SLACK | {"secret": ""}, "config.token", "name the Secret in secret"),
    Bad("unknown field of the block", SLACK | {"block": {"blcks": []}}, "block.blcks",
        "did you mean blocks"),
    Bad("wrong type in the block", SLACK | {"block": {"notifyBroadcast": [1]}},
        "block.notifyBroadcast", "valid boolean"),
    Bad("a block that is not read", NATS | {"block": {"a": 1}}, "block", "nats takes none"),
    Bad("nobody", SLACK | {"recipients": []}, "recipients", "a recipient is a channel's name"),
    Bad("who can never be reached", NATS | {"recipients": ["a", "b c"]}, "recipients[1]",
        "'b c' is no subject"),
    Bad("a key that is not there",
        {"service": "teams-workflows", "config": {"recipientUrls": {"ops": "$u"}}, "secret": "s",
         "recipients": ["opps"], "message": "m"}, "recipients[0]", "did you mean 'ops'"),
    Bad("nothing to say", NATS | {"message": ""}, "", "message or block is missing"),
    Bad("a Secret by an event", SLACK | {"parameters": [put("secret")]}, "",
        "parameters cannot change secret: an event must not choose it"),
    Bad("a setting by an event", SLACK | {"parameters": [put("config.username")]}, "",
        "parameters cannot change config"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_refused(bad: Bad) -> None:
    with pytest.raises(InvalidModel) as caught:
        planned(bad.settings)
    (problem,) = (p for p in caught.value.problems if bad.why in p.message)
    place = "triggers[0].template.notify" + (f".{bad.path}" if bad.path else "")
    assert str(problem).startswith(f"{place}: ")


@pytest.mark.parametrize("dest", ["notify.config.username", "notify.secret", "notify.service"])
def test_refused_for_parameters_beside_the_template(dest: str) -> None:
    with pytest.raises(InvalidModel, match="parameters cannot change"):
        planned(SLACK, parameters=[put(dest)])


def test_what_is_fixed_stays_by_whatever_path() -> None:
    """A destination that hides where it goes changes nothing, either."""
    for parameter in (put(r"\secret"), put("config\\.token"), put(r"confi\g.username")):
        try:
            made = action(SLACK | {"parameters": [parameter]}).content
        except (ConfigError, ParameterError):
            continue
        assert (made["secret"], made["config"]) == (SLACK["secret"], SLACK["config"])
    whole = {"src": {"dependencyName": "d", "dataKey": "n", "useRawData": True}, "dest": "notify"}
    data = b'{"n": {"service": "slack", "config": {"token": "$other"}, "secret": "told"}}'
    with pytest.raises(ParameterError, match="parameters cannot change config"):
        action(SLACK, data, parameters=[whole])


def test_what_parameters_will_fill_in_may_be_missing() -> None:
    settings = SLACK | {"recipients": [], "message": ""}
    both = [put("recipients.0"), put("message")]
    made = action(settings | {"parameters": both})
    assert (made.content["recipients"], made.content["message"]) == (["A-1"], "A-1")


def test_who_cannot_be_reached_by_choice_of_an_event_is_told() -> None:
    with pytest.raises(ParameterError, match="'a b' is no subject"):
        action(NATS | {"parameters": [put("recipients.0")]}, b'{"id": "a b"}')


# ---------------------------------------------------------------------------- taken


def test_an_action_holds_references_and_no_secret() -> None:
    assert action(SLACK | {"block": {"groupingKey": "g"}}).content == SLACK | {
        "block": {"groupingKey": "g"}
    }


def test_a_credential_in_the_manifest_is_warned_of() -> None:
    warnings: list[str] = []
    planned(SLACK | {"config": {"token": "xoxb-1234"}}, warnings)
    assert warnings == ["config: holds a credential: keep it in a Secret and write $KEY"]
    planned(SLACK, clean := [])
    assert clean == []


def test_references_are_told_to_who_hands_secrets_over() -> None:
    config = {"recipientUrls": {"ops": "https://x/$a/${b.c}", "$d": "$$e"}}
    notify = load(Notify, {"service": "teams", "config": config, "secret": "s", "message": "m"})
    found = [(path, ref.name, ref.key) for path, ref in notify.secret_references()]
    assert found == [
        (("config", "recipientUrls", "ops"), "s", "a"),
        (("config", "recipientUrls", "ops"), "s", "b.c"),
        (("config", "recipientUrls", "$d"), "s", "d"),
    ]


def test_lint_asks_for_the_keys_of_the_secret(tmp_path) -> None:
    import yaml

    from spine.manifest import read
    from tocsin.checks import Setting, check

    (tmp_path / "secret.yaml").write_text(
        "{apiVersion: v1, kind: Secret, metadata: {name: told}, stringData: {slack-tokn: x}}"
    )
    sensor = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": "till"},
        "spec": {
            "dependencies": [{"name": "d", "eventSourceName": "s", "eventName": "e"}],
            "triggers": [{"template": {"name": "t", "notify": SLACK}}],
        },
    }
    (tmp_path / "sensor.yaml").write_text(yaml.safe_dump(sensor))
    found = [str(one) for one in check(read([tmp_path]), Setting()).findings]
    said = [one for one in found if "slack-token" in one]
    assert len(said) == 1
    assert "Secret 'told' has no key 'slack-token' (did you mean slack-tokn)" in said[0]
    assert "notify.config.token" in said[0]


# ---------------------------------------------------------------------------- sent


async def refused(settings: dict[str, Any], secrets: dict[tuple[str, str], str]) -> TriggerError:
    one = planned(settings)
    async with Shared() as shared:
        env = Env("till", "t", "ns", GivenSecrets(secrets), shared, host="127.0.0.1")
        async with one.trigger.open(env) as sender:
            with pytest.raises(TriggerError) as caught:
                await sender.send(one.render({"d": event("d")}, "key"), 1)
    return caught.value


async def test_a_secret_that_is_not_there_may_yet_come() -> None:
    error = await refused(SLACK, {})
    assert "telling by slack: reading key 'slack-token' of Secret 'told'" in str(error)
    assert not error.permanent


async def test_what_a_secret_has_is_never_shown() -> None:
    settings = {"service": "email", "secret": "told", "recipients": ["a@x.test"], "message": "m"}
    config = {"host": "h", "port": "$port", "from": "till@x.test"}
    error = await refused(settings | {"config": config}, {("told", "port"): "hunter2"})
    assert "config.port: what Secret 'told' has for it cannot be used" in str(error)
    assert "hunter2" not in f"{error!r} {error.__cause__!r}"
