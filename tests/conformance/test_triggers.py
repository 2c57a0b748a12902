"""Every trigger keeps the contract. A new one is found by its file, and needs nothing here."""

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from plan_kit import event

import sensor.triggers
from delivery.action import Action
from sensor.plan import Plan, compile_plan
from sensor.spec import KINDS, SensorSpec, TriggerTemplate
from sensor.trigger import Trigger
from sensor.unbuilt import Unbuilt
from spine.described import descriptions
from spine.errors import ConfigError, RemoteError, TriggerError
from spine.model import Model, load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets, SecretRef

FOLDER = Path(sensor.triggers.__file__).parent
EXAMPLES = Path(__file__).parents[2] / "examples" / "triggers"
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
WAITING = Path(__file__).parent / "triggers"
"""What `examples` is for triggers that act, for those that cannot yet."""
SENDS_NOTHING = {"log": "writes to the process's own log"}
"""Triggers without a target that could refuse, with the reason."""
NO_ADDRESS = {
    "k8s": "its target is the cluster of the process: tests/live",
    "argo_workflow": "its target is the cluster of the process: tests/live",
}
"""Triggers whose target is not named in their settings, with where it is tested."""

REFUSED = "127.0.0.1:1"
BODY = b'{"body": {"id": "A-1", "status": "paid", "total": 59.9}}'


def trigger_class(name: str) -> type[Trigger]:
    module = importlib.import_module(f"sensor.triggers.{name}")
    own = [v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__]
    classes = [v for v in own if inspect.isclass(v) and issubclass(v, Trigger)]
    assert len(classes) == 1, "one file is one trigger"
    return classes[0]


UNBUILT = [name for name in NAMES if issubclass(trigger_class(name), Unbuilt)]
BUILT = [name for name in NAMES if name not in UNBUILT]


def example(name: str) -> dict:
    folder = WAITING if name in UNBUILT else EXAMPLES
    return yaml.safe_load((folder / f"{name}.yaml").read_text())


def plan(name: str, *, unbuilt_ok: bool = True) -> Plan:
    raw = example(name)
    spec = load(SensorSpec, raw["spec"])
    return compile_plan(raw["metadata"]["name"], "ns", spec, unbuilt_ok=unbuilt_ok)


def action(name: str) -> Action:
    planned = plan(name)
    (trigger,) = planned.triggers.values()
    events = {d: event(d, data=BODY) for d in planned.dependencies}
    return trigger.render(events, "key")


@pytest.mark.parametrize("name", NAMES)
def test_module_field_class_and_kind_have_one_name(name: str) -> None:
    cls = trigger_class(name)
    assert name in KINDS
    field = TriggerTemplate.model_fields[name]
    assert cls in getattr(field.annotation, "__args__", ())
    assert cls.kind == field.alias
    assert cls.__name__ == "".join(part.capitalize() for part in name.split("_"))


def models(cls: type[Model], seen: set[type[Model]]) -> Iterator[type[Model]]:
    if cls in seen:
        return
    seen.add(cls)
    yield cls
    for field in cls.model_fields.values():
        for inner in _classes(field.annotation):
            yield from models(inner, seen)


def _classes(annotation: object) -> Iterator[type[Model]]:
    if inspect.isclass(annotation) and issubclass(annotation, Model):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _classes(inner)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_documented(name: str) -> None:
    missing = [
        f"{cls.__name__}.{field}"
        for cls in models(trigger_class(name), set())
        for field in cls.model_fields
        if field not in descriptions(cls)
    ]
    assert missing == []
    assert importlib.import_module(f"sensor.triggers.{name}").__doc__


@pytest.mark.parametrize("name", NAMES)
def test_example_is_valid_without_a_warning(name: str) -> None:
    warnings: list[str] = []
    raw = example(name)
    spec = load(SensorSpec, raw["spec"], on_warning=warnings.append)
    assert [t.template.trigger.kind for t in spec.triggers] == [trigger_class(name).kind]
    warnings += [str(w) for w in plan(name).warnings]
    assert warnings == []


@pytest.mark.parametrize("name", NAMES)
def test_rendering_is_pure_and_gives_json(name: str) -> None:
    first, second = action(name), action(name)
    assert first == second
    assert json.loads(json.dumps(first.content)) == first.content
    assert first.kind == trigger_class(name).kind


class Watched(GivenSecrets):
    """Gives a telling value for every Secret, and remembers that it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def secret(self, ref: SecretRef) -> str:
        self.asked += 1
        return "hush-hush"


@pytest.mark.parametrize("name", NAMES)
async def test_no_secret_is_read_before_it_is_sent(name: str) -> None:
    assert "hush" not in json.dumps(action(name).content)


ADDRESSED = [n for n in BUILT if n not in SENDS_NOTHING | NO_ADDRESS]


def refuse(name: str, content: dict) -> None:
    """Have a content name a target where nobody listens."""
    match name:
        case "notify":
            content["config"] = {**content["config"], "apiURL": f"http://{REFUSED}/"}
        case "slack":
            content["apiURL"] = f"http://{REFUSED}/"
        case "email":
            host, _, port = REFUSED.partition(":")
            content |= {"host": host, "port": int(port)}
        case _:
            content["url"] = f"{content['url'].partition(':')[0]}://{REFUSED}"


@pytest.mark.parametrize("name", ADDRESSED)
async def test_a_target_that_refuses_is_a_trigger_error(name: str) -> None:
    (planned,) = plan(name).triggers.values()
    made = action(name)
    refuse(name, made.content)
    secrets = Watched()
    async with Shared() as shared:
        env = Env("till", planned.name, "ns", secrets, shared, host="127.0.0.1")
        async with planned.trigger.open(env) as sender:
            with pytest.raises(TriggerError) as caught:
                await sender.send(made, 1)
    assert isinstance(caught.value, RemoteError)
    assert not caught.value.permanent
    assert secrets.asked, "the example shows a Secret"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", list(SENDS_NOTHING))
async def test_waivers_are_needed(name: str) -> None:
    (planned,) = plan(name).triggers.values()
    async with Shared() as shared:
        env = Env("till", planned.name, "ns", GivenSecrets(), shared, host="127.0.0.1")
        async with planned.trigger.open(env) as sender:
            await sender.send(action(name), 1)  # nothing refuses


@pytest.mark.parametrize("name", list(NO_ADDRESS))
def test_waivers_of_addresses_are_needed(name: str) -> None:
    assert "url" not in trigger_class(name).model_fields


@pytest.mark.parametrize("name", UNBUILT)
async def test_what_cannot_act_yet_is_refused_by_its_name(name: str) -> None:
    kind = trigger_class(name).kind
    with pytest.raises(ConfigError, match=f"template.{kind}: known kind that is not built yet"):
        plan(name, unbuilt_ok=False)
    (planned,) = plan(name).triggers.values()
    async with Shared() as shared:
        env = Env("till", planned.name, "ns", GivenSecrets(), shared, host="127.0.0.1")
        with pytest.raises(ConfigError, match="not built yet"):
            planned.trigger.open(env)


def test_what_acts_has_its_example_where_users_look() -> None:
    assert {path.stem for path in WAITING.glob("*.yaml")} == set(UNBUILT)
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} >= set(BUILT)
