"""Repositories for tests, and servers of them: dulwich's own, and git's `http-backend`."""

import asyncio
import base64
import os
import shutil
import ssl
import stat
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import WSGIServerLogger, make_wsgi_chain


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    to: str


@dataclass(frozen=True)
class Module:
    """A commit of another repository."""

    commit: bytes


Files = Mapping[str, "str | bytes | Link | Module"]


class Repository:
    """A bare repository on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.repo = Repo.init_bare(str(folder))
        self._seconds = 1_700_000_000

    def commit(self, files: Files, branch: str = "main", *, head: bool = True) -> bytes:
        """Make a commit of these files and nothing else, and let a branch be there."""
        name = f"refs/heads/{branch}".encode()
        made = Commit()
        made.tree = self._tree(files)
        made.parents = [self.repo.refs[name]] if name in self.repo.refs else []
        made.author = made.committer = b"T <t@example.test>"
        self._seconds += 1
        made.author_time = made.commit_time = self._seconds
        made.author_timezone = made.commit_timezone = 0
        made.message = b"m"
        self.repo.object_store.add_object(made)
        self.repo.refs[name] = made.id
        if head:
            self.repo.refs.set_symbolic_ref(b"HEAD", name)
        return made.id

    def tag(self, name: str, commit: bytes) -> None:
        """Put an annotated tag on a commit."""
        made = Tag()
        made.name, made.message, made.tagger = name.encode(), b"m", b"T <t@example.test>"
        made.tag_time, made.tag_timezone = self._seconds, 0
        made.object = (Commit, commit)
        self.repo.object_store.add_object(made)
        self.repo.refs[f"refs/tags/{name}".encode()] = made.id

    def _tree(self, files: Files) -> bytes:
        tree, folders = Tree(), {}
        for path, content in files.items():
            first, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(first, {})[rest] = content
            elif isinstance(content, Module):
                tree.add(first.encode(), 0o160000, content.commit)
            else:
                mode = stat.S_IFLNK if isinstance(content, Link) else 0o100644
                data = content.to if isinstance(content, Link) else content
                blob = Blob.from_string(data.encode() if isinstance(data, str) else data)
                self.repo.object_store.add_object(blob)
                tree.add(first.encode(), mode, blob.id)
        for name, inner in folders.items():
            tree.add(name.encode(), 0o40000, self._tree(inner))
        self.repo.object_store.add_object(tree)
        return tree.id

    def close(self) -> None:
        self.repo.close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def dulwich_server(repositories: Mapping[str, Repository]):
    """Serve repositories over HTTP; yields the URL of all and how often what was asked for."""
    asked: Counter[str] = Counter()
    inner = make_wsgi_chain(DictBackend({f"/{name}": r.repo for name, r in repositories.items()}))

    def application(environ, start_response):
        asked[environ["REQUEST_METHOD"]] += 1
        return inner(environ, start_response)

    server = make_server("127.0.0.1", 0, application, WSGIServerLogger, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Backend:
    """git's own server: a CGI program, behind a server that may want a password."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = ""
        self.password = ""
        """What everybody must know, as `NAME:PASSWORD`; empty: nothing."""
        self.asked: list[tuple[str, bytes]] = []
        """Paths and bodies of requests."""
        self.moved: dict[str, str] = {}
        """Names of repositories that have other ones."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.split("/")[1]
        if name in self.moved:
            raise web.HTTPMovedPermanently(
                f"{self.moved[name]}{request.path_qs.removeprefix('/' + name)}"
            )
        if self.password and not self._knows(request):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="git"'})
        body = await request.read()
        self.asked.append((request.path_qs, body))
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=pipe, stdout=pipe, stderr=pipe, env=environ
        )
        out, _ = await process.communicate(body)
        head, _, content = out.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=content)

    def _knows(self, request: web.Request) -> bool:
        wanted = base64.b64encode(self.password.encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"


def certificate(file: Path) -> Path:
    """Write a certificate for localhost and its key into a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        made.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


@asynccontextmanager
async def git_backend(root: Path, tls: ssl.SSLContext | None = None):
    """Serve the bare repositories of a folder with git's own server."""
    assert shutil.which("git"), "install git"
    backend = Backend(root)
    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{path:.*}", backend.answer)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "http://127.0.0.1" if tls is None else "https://localhost"
    backend.url = f"{scheme}:{runner.addresses[0][1]}"
    try:
        yield backend
    finally:
        await runner.cleanup()
