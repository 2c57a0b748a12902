"""What every service must be. A new one is found by its line in the catalogue.

What it is tried with is `services/<kind>.yaml` beside this file: `config`, where `{url}` stands for
the address of a local receiver, `{rsa_key}` for a private key, and credentials hold the word hush;
`recipient`; `block`, what its template renders to; `answers`, what the receiver answers beside
`{}`, by how a path ends.
"""

import ast
import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from services_kit import Got, Receiver, Reply, placed, receiver

from services.catalogue import SERVICES
from services.service import Client, Message, Receipt, Service
from services.web import Transport
from spine.described import descriptions
from spine.errors import TriggerError
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

ROOT = Path(__file__).parents[2]
TRIED_WITH = Path(__file__).with_name("services")
LIGHT = {"pydantic", "typing_extensions", "msgspec", "orjson", "spine", "services"}
NOT_HTTP: dict[str, str] = {
    "awssns": "tests/live/test_queue_services.py",
    "awssqs": "tests/live/test_queue_services.py",
    "console": "tests/unit/services/test_console.py",
    "email": "tests/live/test_mail.py",
    "gcppubsub": "tests/live/test_queue_services.py",
    "nats": "tests/live/test_queue_services.py",
}
"""Services that need a server of another kind, with where they are tried."""
KINDS = sorted(SERVICES)
HTTP = [kind for kind in KINDS if kind not in NOT_HTTP]
KEY = "5f2c9d1e7b3a4c60"
HUSH = re.compile(r"hush", re.IGNORECASE)


def module_of(kind: str) -> Any:
    return importlib.import_module(f"services.{kind.replace('-', '_')}")


# ---------------------------------------------------------------------------- as a file


@pytest.mark.parametrize("kind", KINDS)
def test_module_class_and_kind_have_one_name(kind: str) -> None:
    cls = SERVICES[kind]
    assert cls.kind == kind
    assert cls.__module__ == module_of(kind).__name__
    assert cls.__name__.lower() == kind.replace("-", "")
    assert module_of(kind).__doc__
    own = [
        one
        for one in vars(module_of(kind)).values()
        if inspect.isclass(one) and issubclass(one, Service) and one.__module__ == cls.__module__
    ]
    assert own == [cls], "one file is one service"


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_documented(kind: str) -> None:
    cls = SERVICES[kind]
    found = {*models(cls), *(models(cls.block) if cls.block else ())}
    silent = [
        f"{model.__name__}.{name}"
        for model in found
        for name in model.model_fields
        if name not in descriptions(model)
    ]
    assert not silent
    assert all(model.__doc__ for model in found)
    assert cls.recipients


def replaced(value: Any) -> Any:
    match value:
        case dict():
            return {replaced(k): replaced(v) for k, v in value.items()}
        case list():
            return [replaced(one) for one in value]
        case str():
            return re.sub(r"\$([A-Za-z0-9_-]+)", r"hush-\1", value)
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_example_is_valid(kind: str) -> None:
    cls = SERVICES[kind]
    data = yaml.safe_load(cls.example)
    services = {key: value for key, value in data.items() if key.startswith("service.")}
    assert services, "an example configures its service"
    warnings: list[str] = []
    for key, value in services.items():
        assert key.split(".")[1] == kind
        load(cls, replaced(yaml.safe_load(value) or {}), on_warning=warnings.append)
    blocks = [
        block
        for key, value in data.items()
        if key.startswith("template.") and (block := yaml.safe_load(value).get(kind))
    ]
    if cls.block is not None:
        assert blocks, "an example shows the block"
        for block in blocks:
            for one in block.values() if cls.block_by_name else [block]:
                load(cls.block, one, on_warning=warnings.append)
    assert not warnings


@pytest.mark.parametrize("kind", KINDS)
def test_modules_import_no_client_library_at_the_top(kind: str) -> None:
    tree = ast.parse(inspect.getsource(module_of(kind)))
    imported = {
        name.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else _names(node))
    }
    assert imported <= LIGHT | sys.stdlib_module_names


def _names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]


def test_the_catalogue_is_light_to_import() -> None:
    code = "import sys, services.catalogue; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {"aiohttp", "httpx", "aiosmtplib", "aiobotocore", "botocore", "google", "grpc", "nats"}
    assert heavy & set(done.stdout.split()) == set()


# ---------------------------------------------------------------------------- as a client


@dataclass(frozen=True)
class Trial:
    """What a service is tried with."""

    config: Mapping[str, Any]
    recipient: str = ""
    block: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, kind: str) -> "Trial":
        file = TRIED_WITH / f"{kind.replace('-', '_')}.yaml"
        assert file.exists(), f"write {file.relative_to(ROOT)}: see the docstring of this module"
        return cls(**yaml.safe_load(file.read_text()))

    def service(self, kind: str, url: str) -> Service:
        return load(SERVICES[kind], placed(self.config, url))

    @property
    def message(self) -> Message:
        return Message(text="it is done", block=dict(self.block or {}), template="done")


class Tried:
    """A service with an open client, and its receiver."""

    def __init__(self, trial: Trial, client: Client, at: Receiver) -> None:
        self.trial, self.client, self.at = trial, client, at

    async def send(self, key: str = KEY) -> Receipt:
        return await self.client.send(self.trial.message, self.trial.recipient, key)


@asynccontextmanager
async def tried(kind: str) -> AsyncIterator[Tried]:
    trial = Trial.of(kind)
    async with receiver() as at, Shared() as shared:
        at.answers.update(trial.answers or {})
        service = trial.service(kind, at.url)
        assert service.problem(trial.recipient) == ""
        env = Env("alerts", "one", "ns", GivenSecrets(), shared, host="127.0.0.1")
        async with service.open(env) as client:
            yield Tried(trial, client, at)


@pytest.mark.parametrize("kind", HTTP)
async def test_a_message_is_taken_and_the_connection_kept(kind: str) -> None:
    async with tried(kind) as one:
        for _ in range(3):
            receipt = await one.send()
            assert receipt.summary
            assert receipt.problems == ()
        assert len(one.at.got) >= 3
        assert len(one.at.connections) == 1
        assert any("it is done" in got.text for got in one.at.got) or one.trial.block


@dataclass(frozen=True)
class Refusal:
    """A status that says no, and what it means."""

    status: int
    permanent: bool

    def __str__(self) -> str:
        return str(self.status)


@pytest.mark.parametrize("refusal", [Refusal(500, False), Refusal(400, True)], ids=str)
@pytest.mark.parametrize("kind", HTTP)
async def test_a_refusal_is_a_trigger_error(kind: str, refusal: Refusal) -> None:
    async with tried(kind) as one:
        one.at.reply = lambda _: Reply(refusal.status)
        with pytest.raises(TriggerError) as caught:
            await one.send()
        assert caught.value.permanent == refusal.permanent


@pytest.mark.parametrize("kind", HTTP)
async def test_too_many_requests_says_when(kind: str) -> None:
    async with tried(kind) as one:
        one.at.reply = lambda _: Reply(429, headers={"Retry-After": "7"})
        with pytest.raises(TriggerError) as caught:
            await one.send()
        assert (caught.value.permanent, caught.value.retry_after) == (False, 7)


@pytest.mark.parametrize("kind", HTTP)
async def test_nobody_there_is_tried_again(kind: str) -> None:
    trial = Trial.of(kind)
    async with Shared() as shared:
        env = Env("alerts", "one", "ns", GivenSecrets(), shared, host="127.0.0.1")
        async with trial.service(kind, "http://127.0.0.1:1").open(env) as client:
            with pytest.raises(TriggerError) as caught:
                await client.send(trial.message, trial.recipient, KEY)
    assert not caught.value.permanent
    assert not HUSH.search(str(caught.value))


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("kind", HTTP)
async def test_no_credential_is_in_what_is_told(kind: str, status: int) -> None:
    def echo(got: Got) -> Reply:
        telling = {"ok": False, "error": got.text, "description": got.text, "message": got.text}
        return Reply(status, telling if len(echoed) % 2 else got.text)

    echoed: list[int] = []
    async with tried(kind) as one:
        assert HUSH.search(str(one.trial.config)), "say hush in what is a credential"
        one.at.reply = echo
        for _ in range(2):
            try:
                told = repr(await one.send())
            except TriggerError as exc:
                told = f"{exc} {exc.hint}"
            echoed.append(1)
            assert not HUSH.search(told)
        assert any(HUSH.search(got.text) for got in one.at.got) or _coded(one.at.got)


def _coded(got: list[Got]) -> bool:
    """Return whether the credential went out in another form: encoded, or signed with."""
    return any("authorization" in one.headers for one in got)


@pytest.mark.parametrize("kind", [kind for kind in HTTP if SERVICES[kind].idempotent])
async def test_the_key_arrives(kind: str) -> None:
    async with tried(kind) as one:
        await one.send(KEY)
        first = list(one.at.got)
        await one.send(KEY[::-1])
        second = one.at.got[len(first) :]
        assert any(KEY in got.text for got in first)
        assert any(KEY[::-1] in got.text for got in second)
        assert not any(KEY in got.text for got in second)


@pytest.mark.parametrize("kind", HTTP)
async def test_cancelled_within_a_second(kind: str) -> None:
    async with asyncio.timeout(60), tried(kind) as one:
        one.at.hang = True
        sending = asyncio.create_task(one.send())
        await one.at.came.wait()
        sending.cancel()
        done, _ = await asyncio.wait([sending], timeout=5)  # where the machine is shared by tests
        assert done
        assert sending.cancelled()


@pytest.mark.parametrize("kind", KINDS)
def test_preview_shows_the_message_and_no_credential(kind: str) -> None:
    cls = SERVICES[kind]
    assert "it is done" in cls.preview(Message(text="it is done"))


def test_trials_and_waivers_are_needed() -> None:
    trials = {path.stem.replace("_", "-") for path in TRIED_WITH.glob("*.yaml")}
    assert trials == set(HTTP)
    assert all(not issubclass(SERVICES[kind], Transport) for kind in NOT_HTTP)
    assert all((ROOT / where).exists() for where in NOT_HTTP.values())
