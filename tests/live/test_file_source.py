"""The file source on a real file system: each operation, bursts, and folders that go and return."""

import asyncio
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hooks import running

from eventbus.memory import MemoryBus
from eventsource import runner
from eventsource.files import watching
from spine.errors import BusError, SourceError
from spine.event import Event
from spine.runtime import Backoff

C, W, R, N, M = 1, 2, 4, 8, 16
ALL = "CREATE|WRITE|REMOVE|RENAME|CHMOD"


@pytest.fixture
def folder(tmp_path):
    one = tmp_path / "data"
    one.mkdir()
    return one


def spec(folder: Path, event_type: str = ALL, **more: Any) -> dict[str, Any]:
    path = {"directory": f"{folder}/", "pathRegexp": "."}
    return {"file": {"ev": {"eventType": event_type, "watchPathConfig": path, **more}}}


async def until(met, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await met():
            await asyncio.sleep(0.02)


def put(file: Path, text: str = "x") -> None:
    """Have a file there at once, with all that is in it: a look may come at any moment."""
    beside = file.parent.with_name("beside")
    beside.write_text(text)
    beside.rename(file)


async def told(it: Any, folder: Path | None = None) -> list[tuple[str, int]]:
    """Return names, without the folder where one is given, and operations."""
    found = [json.loads(event.data or b"") for event in await it.events()]
    cut = f"{folder}/" if folder else ""
    assert all(one["name"].startswith(cut) for one in found)
    return [(one["name"].removeprefix(cut), one["op"]) for one in found]


async def expect(it: Any, folder: Path | None, *events: tuple[str, int]) -> None:
    """Wait until these events, and no others, are told since the last time; in this order."""
    begun = getattr(it, "begun", 0)

    async def enough() -> bool:
        return len(await told(it, folder)) >= begun + len(events)

    try:
        await until(enough)
    except TimeoutError:
        pass
    found = (await told(it, folder))[begun:]
    assert found == list(events)
    it.begun = begun + len(events)


# ---------------------------------------------------------------------------- operations


async def test_each_operation(folder):
    (folder / "old").write_text("x")
    async with running(spec(folder)) as it:
        (folder / "a").write_text("x")
        await expect(it, folder, ("a", C), ("a", W))
        with (folder / "a").open("a") as file:
            file.write("y")
        await expect(it, folder, ("a", W))
        (folder / "a").chmod(0o600)
        await expect(it, folder, ("a", M))
        (folder / "a").touch()
        await expect(it, folder, ("a", M))
        (folder / "a").rename(folder / "b")
        await expect(it, folder, ("a", N), ("b", C))
        (folder / "b").unlink()
        await expect(it, folder, ("b", R))
        (folder / "sub").mkdir()
        await expect(it, folder, ("sub", C))
        (folder / "sub" / "deep").write_text("x")
        (folder / "link").symlink_to("nowhere")
        await expect(it, folder, ("link", C))
        (folder / "old").unlink()
        await expect(it, folder, ("old", R))
        events = await it.events()
    assert {event.type for event in events} == {"file"}
    assert json.loads(events[0].data or b"") == {
        "name": f"{folder}/a",
        "op": 1,
        "metadata": None,
    }


async def test_each_operation_by_polling(folder):
    (folder / "old").write_text("x")
    path = {"directory": str(folder), "pathRegexp": "^[a-z]$"}
    async with running(spec(folder, polling=True, watchPathConfig=path)) as it:
        put(folder / "a")
        await expect(it, None, ("a", C))
        os.utime(folder / "a", (1, 1))
        await expect(it, None, ("a", W))
        (folder / "a").chmod(0o600)
        await expect(it, None, ("a", M))
        (folder / "a").rename(folder / "b")
        await expect(it, None, ("a", N))
        (folder / "b").unlink()
        await expect(it, None, ("b", R))


async def test_polling_tells_of_the_folder_itself(folder):
    path = {"directory": f"{folder}/", "path": "data"}
    async with running(spec(folder, polling=True, watchPathConfig=path)) as it:
        (folder / "a").write_text("x")
        await expect(it, None, ("data", W))


@pytest.mark.parametrize("polling", [False, True])
async def test_only_what_counts(folder, polling):
    path = {"directory": f"{folder}/", "path": "a"}
    more = {"metadata": {"team": "web"}, "filter": {"expression": "op == 1"}, "polling": polling}
    async with running(spec(folder, watchPathConfig=path, **more)) as it:
        (folder / "b").write_text("x")
        (folder / "a").write_text("x")
        await until(it.events)
        (folder / "a").unlink()
        (folder / "a").write_text("x")

        async def two() -> bool:
            return len(await it.events()) == 2

        if not polling:  # which may see the file replaced, not removed
            await until(two)
        found = [json.loads(event.data or b"") for event in await it.events()]
    name = "a" if polling else f"{folder}/a"
    assert found[0] == {"name": name, "op": 1, "metadata": {"team": "web"}}
    assert {one["op"] for one in found} == {1}


async def test_a_file_saved_as_editors_do(folder):
    (folder / "config").write_text("old")
    path = {"directory": f"{folder}/", "path": "config"}
    async with running(spec(folder, watchPathConfig=path)) as it:
        for number in range(5):  # written elsewhere and put in its place
            put(folder / "config", f"new {number}")
            await expect(it, folder, ("config", C), ("config", W))
        (folder / ".tmp").write_text("newest")  # written beside
        (folder / ".tmp").rename(folder / "config")

        async def replaced() -> bool:
            return ("config", C) in (await told(it, folder))[10:]

        await until(replaced)
        begun = len(await told(it, folder))
        (folder / "config").rename(folder / "config~")  # put aside and written anew
        (folder / "config").write_text("newer")

        async def created() -> bool:
            return ("config", C) in (await told(it, folder))[begun:]

        await until(created)


async def test_a_name_that_is_no_utf8(folder):
    async with running(spec(folder, "CREATE")) as it:
        Path(os.fsdecode(os.fsencode(folder) + b"/a\xffb")).write_text("x")
        await expect(it, folder, ("a\ufffdb", C))
        (folder / "c").write_text("x")
        await expect(it, folder, ("c", C))


# ---------------------------------------------------------------------------- bursts


class Slow(MemoryBus):
    """A bus that does not take an event at the first try."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()

    async def publish(self, event: Event) -> None:
        if event.id not in self.refused and len(self.refused) < 20:
            self.refused.add(event.id)
            raise BusError("publishing: no answer", retry_after=0.05)
        await super().publish(event)


@pytest.mark.parametrize("polling", [False, True])
async def test_ten_thousand_files_at_once(folder, polling):
    async with running(spec(folder, "CREATE", polling=polling)) as it:

        def make() -> None:
            for number in range(10_000):
                (folder / str(number)).write_bytes(b"x")

        await asyncio.to_thread(make)

        async def all_of_them() -> bool:
            return len(await it.events()) >= 10_000

        await until(all_of_them, 60)
        await asyncio.sleep(0.6)  # past the comparison that follows a burst
        found = Counter(name for name, _ in await told(it))
    prefix = "" if polling else f"{folder}/"
    assert found == Counter(f"{prefix}{number}" for number in range(10_000))


async def test_notices_that_were_lost(folder, monkeypatch):
    real = watching._Batch

    def lossy(changes, names, over):
        """Of a burst, two of three names are lost."""
        return real(changes[::3] if len(changes) > 30 else changes, names, over)

    monkeypatch.setattr(watching, "_Batch", lossy)
    monkeypatch.setattr(watching, "BURST", 20)
    async with running(spec(folder, "CREATE|REMOVE")) as it:
        for number in range(300):
            (folder / str(number)).write_bytes(b"x")
        await expect_names(it, folder, C, 300)
        for number in range(300):
            (folder / str(number)).unlink()
        await expect_names(it, folder, R, 300)


async def expect_names(it: Any, folder: Path, op: int, count: int) -> None:
    wanted = Counter(str(number) for number in range(count))

    async def all_of_them() -> bool:
        return Counter(name for name, one in await told(it, folder) if one == op) >= wanted

    await until(all_of_them)
    assert Counter(name for name, one in await told(it, folder) if one == op) == wanted


async def test_a_bus_that_refuses(folder, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(steps=1))
    bus = Slow()
    async with running(spec(folder, "CREATE"), bus=bus) as it:
        for number in range(100):
            (folder / str(number)).write_bytes(b"x")
        await expect_names(it, folder, C, 100)
    assert len(bus.refused) == 20


# ---------------------------------------------------------------------------- coming back


async def test_a_folder_that_is_removed_and_made_again(folder, caplog):
    async with running(spec(folder, "CREATE|REMOVE")) as it:
        (folder / "a").write_text("x")
        await expect(it, folder, ("a", C))
        for _ in range(3):
            shutil.rmtree(folder)
            folder.mkdir()
            (folder / "a").write_text("y")
            await expect(it, folder, ("a", R), ("a", C))
        shutil.rmtree(folder)
        await expect(it, folder, ("a", R))

        async def waits() -> bool:
            return "has gone, waiting for it" in caplog.text

        await until(waits)
        other = folder.with_name("other")
        other.mkdir()
        (other / "b").write_text("z")
        other.rename(folder)
        await expect(it, folder, ("b", C))
        assert it.runner.problem == ""


async def test_a_folder_that_is_removed_and_made_again_while_polling(folder):
    async with running(spec(folder, "CREATE|REMOVE", polling=True)) as it:
        (folder / "a").write_text("x")
        await expect(it, None, ("a", C))
        folder.rename(folder.with_name("aside"))
        other = folder.with_name("other")
        other.mkdir()
        (other / "b").write_text("z")
        other.rename(folder)
        await expect(it, None, ("a", R), ("b", C))


async def test_what_happened_while_nobody_watched(folder):
    bus = MemoryBus()
    for name in ("stays", "goes", "moves"):
        (folder / name).write_text("x")
    async with running(spec(folder), bus=bus):
        pass
    (folder / "goes").unlink()
    (folder / "moves").rename(folder / "moved")
    (folder / "new").write_text("x")
    async with running(spec(folder), bus=bus) as it:

        async def four() -> bool:
            return len(await it.events()) >= 5

        await until(four)
        assert sorted(await told(it, folder)) == [
            ("goes", R), ("moved", C), ("moves", N), ("new", C), ("new", W),
        ]  # fmt: skip
    async with running(spec(folder), bus=bus) as it:
        (folder / "last").mkdir()

        async def last() -> bool:
            return ("last", C) in await told(it, folder)

        await until(last)
        assert len(await it.events()) == 6


async def test_what_happened_is_nobodys_to_know(folder):
    bus = MemoryBus()
    async with running(spec(folder, "CREATE", catchup=False), bus=bus):
        pass
    (folder / "missed").write_text("x")
    async with running(spec(folder, "CREATE", catchup=False), bus=bus) as it:
        (folder / "seen").write_text("x")
        await expect(it, folder, ("seen", C))


# ---------------------------------------------------------------------------- failing


@pytest.mark.parametrize("polling", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "No such file or directory (make the directory, or mount the volume"),
        (lambda path: path.write_text("x"), "Not a directory (name the directory that the file"),
    ],
)
async def test_a_folder_that_is_not_there(tmp_path, env, make, message, polling):
    from eventsource.sources.file import File

    make(tmp_path / "none")
    path = {"directory": f"{tmp_path}/none", "path": "a"}
    source = File(event_type="CREATE", watch_path_config=path, polling=polling)  # type: ignore[arg-type]

    async def emit(*_: Any, **__: Any) -> None:
        raise AssertionError

    with pytest.raises(SourceError) as caught:
        await source.run(env, emit)
    assert f"watching {tmp_path}/none: {message}" in str(caught.value)


async def test_a_folder_that_comes_late(tmp_path):
    folder = tmp_path / "late"
    making = asyncio.get_running_loop().call_later(0.5, folder.mkdir)
    async with running(spec(folder, "CREATE")) as it:
        (folder / "a").write_text("x")
        await expect(it, folder, ("a", C))
    making.cancel()
