"""What every source must be. A new source is tested here without a line being added."""

import ast
import asyncio
import inspect
import pkgutil
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from pubsub_emulator import emulator
from source_servers import SERVERS

from eventbus.memory import MemoryBus
from eventsource import sources
from eventsource.runner import Runner
from eventsource.source import Source
from eventsource.spec import EventSourceSpec, kinds, ports
from spine.described import descriptions
from spine.model import load
from spine.schema import structural
from spine.secrets import GivenSecrets, LayeredSecrets, Secrets
from spine.telemetry import SourceMetrics

ROOT = Path(__file__).parents[2]
PAYLOADS = Path(__file__).with_name("payloads")
LIGHT = {"pydantic", "typing_extensions", "spine", "eventsource"} | sys.stdlib_module_names

NO_STOP: dict[str, str] = {}
"""Sources that cannot be run here, with the reason."""

ON_A_CLUSTER = {"resource"}
"""Sources that talk to the API server of the tests."""

ON_PUBSUB = {"pub_sub"}
"""Sources that talk to a Pub/Sub server of the tests."""

every_kind = pytest.mark.parametrize(("kind", "source"), kinds().items(), ids=list(kinds()))


def test_the_spec_and_the_folder_agree():
    assert kinds().keys() == {module.name for module in pkgutil.iter_modules(sources.__path__)}


@every_kind
def test_lives_in_the_module_of_its_field_under_its_name(kind: str, source: type[Source]):
    assert source.__module__ == f"eventsource.sources.{kind}"
    assert source.__name__ == "".join(part.capitalize() for part in kind.split("_"))


@every_kind
def test_says_what_it_is_of(kind: str, source: type[Source]):
    alias = EventSourceSpec.model_fields[kind].alias
    assert source.type in {alias, kind.replace("_", "")}


@every_kind
def test_every_field_is_documented(kind: str, source: type[Source]):
    for model in models(source):
        undocumented = [n for n in model.model_fields if n not in descriptions(model)]
        assert not undocumented, f"{model.__name__}: add a docstring below {undocumented}"
        assert model.__doc__


def models(source: type[Source]) -> list[Any]:
    module = sys.modules[source.__module__]
    own = [
        m for m in vars(module).values() if inspect.isclass(m) and m.__module__ == module.__name__
    ]
    return [m for m in own if hasattr(m, "model_fields")]


@every_kind
def test_schema_is_structural(kind: str, source: type[Source]):
    assert "$ref" not in str(structural(source))


@every_kind
def test_module_imports_no_client_library_at_the_top(kind: str, source: type[Source]):
    tree = ast.parse(inspect.getsource(sys.modules[source.__module__]))
    tops = {n.module.split(".")[0] for n in tree.body if isinstance(n, ast.ImportFrom) and n.module}
    tops |= {a.name.split(".")[0] for n in tree.body if isinstance(n, ast.Import) for a in n.names}
    assert tops <= LIGHT, "import the client library inside the function that uses it"


def test_reading_a_spec_loads_no_server_and_no_client():
    heavy = {"uvicorn", "httptools", "uvloop", "aiohttp", "nats", "jq", "prometheus_client"}
    program = f"import sys, eventsource.spec; print(sorted({heavy!r} & sys.modules.keys()))"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"


@every_kind
def test_file_is_small(kind: str, source: type[Source]):
    assert len(inspect.getsource(sys.modules[source.__module__]).splitlines()) <= 300


@every_kind
def test_has_its_own_tests(kind: str, source: type[Source]):
    assert (ROOT / f"tests/unit/eventsource/sources/test_{kind}.py").exists()


@every_kind
def test_payload_is_the_recorded_one(kind: str, source: type[Source]):
    recorded = (PAYLOADS / f"{kind}.json").read_bytes().removesuffix(b"\n")
    assert source.example.encode() == recorded


# ---------------------------------------------------------------------------- the example


@pytest.fixture
async def stack():
    """What a test opens and leaves open to its end."""
    async with AsyncExitStack() as one:
        yield one


def example(kind: str) -> tuple[dict[str, Any], Secrets]:
    """Return the EventSource of an example and the Secrets beside it."""
    text = (ROOT / f"examples/event-sources/{kind}.yaml").read_text()
    documents = list(yaml.safe_load_all(text))
    (source,) = [d for d in documents if d["kind"] == "EventSource"]
    secrets = {
        (d["metadata"]["name"], key): value
        for d in documents
        if d["kind"] == "Secret"
        for key, value in d["stringData"].items()
    }
    return source, GivenSecrets(secrets)


@every_kind
def test_example_is_valid_without_a_warning(kind: str, source: type[Source]):
    warnings: list[str] = []
    raw, _ = example(kind)
    spec = load(EventSourceSpec, raw["spec"], on_warning=warnings.append)
    assert warnings == []
    assert getattr(spec, kind), "the example must have an event of its kind"


@every_kind
async def test_example_listens_and_stops_within_a_second(
    kind: str,
    source: type[Source],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    stack: AsyncExitStack,
    tmp_path: Path,
):
    if kind in NO_STOP:
        pytest.skip(NO_STOP[kind])
    if kind in ON_A_CLUSTER:
        monkeypatch.setenv("KUBECONFIG", request.getfixturevalue("cluster").kubeconfig)
    server = await stack.enter_async_context(emulator(tmp_path)) if kind in ON_PUBSUB else None
    if server is not None:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.host)
    raw, secrets = example(kind)
    if kind in SERVERS:
        lead = await stack.enter_async_context(SERVERS[kind](tmp_path))
        for event in raw["spec"][EventSourceSpec.model_fields[kind].alias].values():
            lead(event)
        secrets = LayeredSecrets(GivenSecrets(getattr(lead, "secrets", {})), secrets)
    spec = load(EventSourceSpec, raw["spec"])
    number = next((port.number for port in ports(spec)), 0)
    up = asyncio.Event()
    runner = Runner(
        name=raw["metadata"]["name"],
        namespace="ns",
        spec=spec,
        bus=MemoryBus(),
        secrets=secrets,
        metrics=SourceMetrics("ns", "x", spec.sources()),
        host="127.0.0.1",
        port_offset=free_port() - number if number else 0,
        ready=up.set,
    )
    task = asyncio.create_task(runner.run())
    waiting = asyncio.create_task(up.wait())
    await asyncio.wait({task, waiting}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    assert up.is_set(), "it does not listen"
    clock = asyncio.get_running_loop().time
    began = clock()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock() - began < 5  # a second, were the machine not shared by tests
    assert task.cancelled()


def test_waivers_are_of_sources_that_exist():
    assert NO_STOP.keys() <= kinds().keys()
