"""Objects that stand in a git repository: what is found, what is refused, and how often it asks."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import sys
import time
import zlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from dulwich.errors import ChecksumMismatch
from dulwich.objects import Commit
from git_kit import Link, Module, Repository, dulwich_server
from hypothesis import example, given
from hypothesis import strategies as st

from sensor.artifact import ArtifactLocation, GitArtifact
from sensor.kubernetes.git import line, packs, repositories
from sensor.kubernetes.git.github import api_of
from sensor.kubernetes.git.place import place_of
from sensor.kubernetes.git.repositories import KEPT, Repositories
from sensor.kubernetes.git.tree import Elsewhere, file_of
from sensor.kubernetes.git.wanted import wanted_of
from sensor.kubernetes.sources import Sources
from spine.errors import ConfigError
from spine.model import load
from spine.secrets import GivenSecrets

# ---------------------------------------------------------------------------- places


@dataclass(frozen=True)
class At:
    url: str
    scheme: str
    host: str
    port: int
    path: str
    user: str = ""
    shown: str = ""

    def __str__(self) -> str:
        return self.url


PLACES = [
    At("https://h.test/a/b.git", "https", "h.test", 443, "/a/b.git"),
    At("http://h.test:81/a", "http", "h.test", 81, "/a"),
    At("https://u:p%40@h.test/a", "https", "h.test", 443, "/a", "u", "https://h.test/a"),
    At(
        "https://h.test/~me/a b",
        "https",
        "h.test",
        443,
        "/~me/a%20b",
        "",
        "https://h.test/~me/a%20b",
    ),
    At(
        "ssh://git@h.test:2222/a.git",
        "ssh",
        "h.test",
        2222,
        "/a.git",
        "git",
        "ssh://h.test:2222/a.git",
    ),
    At("ssh://h.test/~/a.git", "ssh", "h.test", 22, "a.git"),
    At("git@h.test:a/b.git", "ssh", "h.test", 22, "a/b.git", "git", "ssh://h.test/~/a/b.git"),
    At("h.test:/srv/b.git", "ssh", "h.test", 22, "/srv/b.git", "", "ssh://h.test/srv/b.git"),
    At("ssh://[::1]:2222/a", "ssh", "::1", 2222, "/a"),
]


@pytest.mark.parametrize("case", PLACES, ids=str)
def test_place(case: At) -> None:
    place = place_of(case.url)
    found = (place.scheme, place.host, place.port, place.path, place.user)
    assert found == (case.scheme, case.host, case.port, case.path, case.user)
    if case.shown:
        assert place.url == case.shown


@pytest.mark.parametrize(
    "url",
    [
        "u",
        "/srv/a.git",
        "file:///srv/a",
        "git://h.test/a",
        "https://h.test",
        "https:///a",
        "ext::sh -c x",
        "https://h.test:port/a",
        "https://u:secret@h.test/a?b",
    ],
)
def test_no_place(url: str) -> None:
    with pytest.raises(ConfigError, match="no URL of http, https or ssh") as caught:
        place_of(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "url", "wanted"),
    [
        ("https://h.test/a/b.git", "../c.git", "https://h.test/a/c.git"),
        ("https://u:p@h.test/a/b.git", "./c.git", "https://h.test/a/b.git/c.git"),
        ("git@h.test:a/b.git", "../../c.git", "ssh://h.test/~/c.git"),
        ("https://h.test/a/b.git", "https://o.test/c.git", "https://o.test/c.git"),
        ("https://h.test/a", "../../../c", "https://h.test/c"),
    ],
)
def test_place_of_a_submodule(base: str, url: str, wanted: str) -> None:
    assert place_of(base).beside(url).url == wanted


@given(st.text(max_size=40) | st.from_regex(r"(https?|ssh)://[^/]{0,12}/.{0,20}", fullmatch=True))
@example("http://[")
@example("https://h:99999/a")
@example("ssh://h/%ff")
def test_any_text_is_a_place_or_refused(text: str) -> None:
    try:
        place = place_of(text)
    except ConfigError:
        return
    assert place.host
    assert place.path
    again = place_of(place.url)
    assert (again.origin, again.path) == (place.origin, place.path)


# ---------------------------------------------------------------------------- what is meant

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("fields", "commit", "references"),
    [
        ({}, "", ["HEAD"]),
        ({"branch": "b"}, "", ["refs/heads/b"]),
        ({"branch": "refs/heads/b"}, "", ["refs/heads/b"]),
        ({"branch": "b", "tag": "t"}, "", ["refs/tags/t"]),
        ({"tag": "t", "ref": "refs/pull/1/head"}, "", ["refs/pull/1/head"]),
        ({"ref": "x"}, "", ["refs/x", "refs/tags/x", "refs/heads/x"]),
        ({"ref": SHA}, SHA, []),
        (
            {"ref": SHA[:10]},
            "",
            [f"{at}{SHA[:10]}" for at in ("refs/", "refs/tags/", "refs/heads/")],
        ),
    ],
)
def test_what_is_meant(fields: dict, commit: str, references: list[str]) -> None:
    wanted = wanted_of(GitArtifact(url="https://h/a", filePath="f", **fields))
    assert wanted.commit.decode() == commit
    assert [name.decode() for name in wanted.references] == references


# ---------------------------------------------------------------------------- the walk

FILES = {
    "a.yaml": "a: 1",
    "d/b.yaml": "b: 2",
    "d/e/c.yaml": "c: 3",
    "same": Link("a.yaml"),
    "current": Link("d"),
    "d/e/up": Link(".."),
    "d/top": Link("../d/e/up"),
    "out": Link(".."),
    "root": Link("/etc"),
    "circle": Link("circle/x"),
    "mod": Module(SHA.encode()),
    "d/inner": Module(SHA.encode()),
    "nowhere": Module(SHA.encode()),
    ".gitmodules": '[submodule "m"]\n\tpath = mod\n\turl = ../m.git\n'
    '[submodule "i"]\n\tpath = d/inner\n\turl = https://i.test/i\n',
}


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("walk") / "a.git")
    commit = repository.repo[repository.commit(FILES)]
    assert isinstance(commit, Commit)
    yield lambda path: file_of(repository.repo.__getitem__, commit, path, "reading it")
    repository.close()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a.yaml", b"a: 1"),
        ("/d//b.yaml", b"b: 2"),
        ("./d/e/c.yaml", b"c: 3"),
        ("current/b.yaml", b"b: 2"),
        ("current/e/up/b.yaml", b"b: 2"),
        ("d/top/b.yaml", b"b: 2"),
        ("mod/x/y.yaml", Elsewhere("../m.git", SHA.encode(), "x/y.yaml")),
        ("current/inner/y.yaml", Elsewhere("https://i.test/i", SHA.encode(), "y.yaml")),
    ],
)
def test_file_of_a_commit(walked, path: str, wanted: Any) -> None:
    assert walked(path) == wanted


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("a.yml", r"there is no a\.yml \(did you mean a\.yaml"),
        ("d/none", r"there is no d/none \(did you mean inner"),
        ("d/zzz", r"there is no d/zzz \(there is b\.yaml, e, inner, top"),
        ("d", "it is a folder"),
        ("", "it is a folder"),
        ("a.yaml/x", r"a\.yaml is a file"),
        ("same", r"it is a symbolic link, and no file \(name what it leads to: a\.yaml"),
        ("out/a.yaml", "leads out of the repository"),
        ("root/passwd", "link root leads out of the repository"),
        ("circle/x", "more than 10 links"),
        ("mod", "it is a submodule"),
        ("nowhere/x", r"\.gitmodules has no URL of submodule nowhere"),
    ],
)
def test_no_file_of_a_commit(walked, path: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        walked(path)


# ---------------------------------------------------------------------------- from a server


class Scene:
    """A server of repositories and what reads from it."""

    def __init__(self, url: str, asked: Any, one: Repository) -> None:
        self.url, self.asked, self.one = url, asked, one
        self.repositories = Repositories()

    async def read(self, path: str = "a.yaml", secrets: Any = None, **fields: Any) -> str:
        fields.setdefault("url", f"{self.url}/one.git")
        artifact = GitArtifact(filePath=path, **fields)
        return await self.repositories.read(artifact, secrets or GivenSecrets())


@pytest.fixture
def scene(tmp_path):
    one, two = Repository(tmp_path / "one.git"), Repository(tmp_path / "two.git")
    inner = two.commit({"x.yaml": "x: 1"})
    modules = '[submodule "m"]\n\tpath = m\n\turl = ../two.git\n'
    one.commit({"a.yaml": "a: 1", "d/b.yaml": "b: 2", "m": Module(inner), ".gitmodules": modules})
    with dulwich_server({"one.git": one, "two.git": two}) as (url, asked):
        made = Scene(url, asked, one)
        yield made
        made.repositories.close()
    one.close()
    two.close()


async def test_a_commit_is_fetched_once_and_again_when_it_moved(scene) -> None:
    found = [await scene.read() for _ in range(3)] + [await scene.read("d/b.yaml")]
    before = dict(scene.asked)
    scene.one.commit({"a.yaml": "a: 2"})
    moved = await scene.read()

    assert found == ["a: 1", "a: 1", "a: 1", "b: 2"]
    assert before == {"GET": 4, "POST": 1}, "each looks, and the first one fetches"
    assert moved == "a: 2"
    assert scene.asked["POST"] == 2


async def test_what_is_not_said_is_the_head_of_the_repository(scene) -> None:
    scene.one.commit({"a.yaml": "trunk"}, "trunk")
    scene.one.commit({"a.yaml": "other"}, "other", head=False)

    assert await scene.read() == "trunk"
    assert await scene.read(branch="other") == "other"
    assert await scene.read(branch="main") == "a: 1"


async def test_tags_references_and_commits(scene) -> None:
    old = scene.one.repo.refs[b"refs/heads/main"]
    scene.one.tag("v1", old)
    scene.one.repo.refs[b"refs/tags/plain"] = old
    scene.one.repo.refs[b"refs/pull/1/head"] = old
    scene.one.commit({"a.yaml": "a: 2"})

    for fields in (
        {"tag": "v1", "branch": "main"},
        {"tag": "plain"},
        {"ref": "refs/pull/1/head", "tag": "none"},
        {"ref": "v1"},
    ):
        assert await scene.read(**fields) == "a: 1", fields
    assert await scene.read(ref="main") == "a: 2"


async def test_a_commit_by_its_id_is_not_looked_for_again(scene) -> None:
    sha = scene.one.repo.refs[b"refs/heads/main"].decode()
    found = [await scene.read(ref=sha) for _ in range(3)]

    assert found == ["a: 1"] * 3
    assert scene.asked == {"GET": 1, "POST": 1}


async def test_a_file_of_a_submodule(scene) -> None:
    assert await scene.read("m/x.yaml") == "x: 1"
    scene.asked.clear()
    assert await scene.read("m/x.yaml") == "x: 1"
    assert scene.asked == {"GET": 1}, "the commit of the submodule is fixed"


async def test_another_remote_comes_first_and_the_url_after_it(scene) -> None:
    remote = {"name": "fork", "urls": [f"{scene.url}/two.git"]}
    scene.one.commit({"a.yaml": "only here"}, "only", head=False)

    assert await scene.read("x.yaml", remote=remote) == "x: 1"
    assert await scene.read(remote=remote, branch="only") == "only here"


async def test_many_at_once_share_a_look_that_began_after_they_asked(scene) -> None:
    found = await asyncio.gather(*(scene.read() for _ in range(20)))

    assert found == ["a: 1"] * 20
    assert scene.asked["POST"] == 1
    assert scene.asked["GET"] <= 2


async def test_what_is_kept_is_bounded(scene) -> None:
    for number in range(KEPT + 5):
        scene.one.commit({"a.yaml": f"n: {number}"}, f"b{number}", head=False)
        assert await scene.read(branch=f"b{number}") == f"n: {number}"

    assert len(scene.repositories._kept) == KEPT


async def test_what_cannot_be_had(scene, monkeypatch) -> None:
    scene.one.commit(
        {
            "odd": b"\xff\xfe",
            "large": "x" * 1_048_577,
            "lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        },
        "odd",
    )
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
    for path, fields, problem in [
        ("odd", {}, "it is no UTF-8"),
        ("large", {}, "larger than 1024 KiB"),
        ("lfs", {}, "its content is in LFS"),
        ("odd", {"branch": "none"}, "there is no refs/heads/none"),
        ("odd", {"ref": SHA}, "reading odd of http"),
        ("odd", {"url": f"{scene.url}/none.git"}, "reading odd of http"),
        ("odd", {"url": away}, "[Rr]efused"),
        ("odd", {"url": "http://169.254.169.254/a"}, "never fetched from"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError, match=problem):
            await scene.read(path, **fields)
    monkeypatch.setenv("TOCSIN_EGRESS", "*.example.test")
    with pytest.raises(ConfigError, match=r"TOCSIN_EGRESS does not allow 127\.0\.0\.1"):
        await scene.read()


async def test_a_server_that_sends_too_much_is_cut_off(scene, monkeypatch) -> None:
    monkeypatch.setattr(line, "MOST", 2 * 1024 * 1024)
    scene.one.commit({"a.yaml": "a: 1", "noise": os.urandom(3_000_000)})
    with pytest.raises(ConfigError, match=r"sends more than 2 MiB \(of a server with uploadpack"):
        await scene.read()


async def test_a_name_that_leads_to_a_refused_address(scene, monkeypatch) -> None:
    real = socket.socket.getpeername
    monkeypatch.setattr(
        socket.socket, "getpeername", lambda self: ("169.254.169.254", real(self)[1])
    )
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1 has the address 169\.254\.169\.254"):
        await scene.read()
    assert not scene.asked


async def test_a_server_that_says_nothing_is_left_in_time(scene, monkeypatch) -> None:
    monkeypatch.setattr(repositories, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ConfigError, match="took longer than"):
            await scene.read(url=f"http://127.0.0.1:{silent.getsockname()[1]}/a")
        assert time.monotonic() - began < 5, "the socket's own patience is 20 s"


# ---------------------------------------------------------------------------- hostile packs


@dataclass(frozen=True)
class Hostile:
    name: str
    problem: str
    count: int = 1
    entries: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Kind, size that is said, content."""

    def __str__(self) -> str:
        return self.name

    def pack(self) -> bytes:
        out = b"PACK" + (2).to_bytes(4, "big") + self.count.to_bytes(4, "big")
        for kind, size, content in self.entries:
            head, left = [kind << 4 | size & 15], size >> 4
            while left:
                head[-1] |= 128
                head.append(left & 127)
                left >>= 7
            out += bytes(head) + (b"\1" if kind == 6 else b"") + zlib.compress(content)
        return out + bytes(20)


LARGE = bytes(1_000_000)
HOSTILE = [
    Hostile("too many", "it has 250001 objects", 250_001),
    Hostile("one too large", "an object of 40000000 bytes", 1, [(3, 40_000_000, b"")]),
    Hostile("says less than it is", "larger than it says", 1, [(3, 10, LARGE)]),
    Hostile("all together", "larger than 2 MiB", 3, [(3, 1_000_000, LARGE)] * 3),
    Hostile("a change that grows", "an object of 268435455", 1,
            [(6, 8, b"\x0a\xff\xff\xff\x7f\x00\x00\x00")]),
    Hostile("ends too early", "Error|middle|range", 2, [(3, 3, b"abc")]),
]  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE, ids=str)
def test_hostile_pack(case: Hostile, monkeypatch) -> None:
    monkeypatch.setattr(packs, "ALL", 2 * 1024 * 1024)

    class Client:
        def fetch_pack(self, path, wants, walker, write, **_):
            write(case.pack())
            return type("Result", (), {"object_format": "sha1"})()

    with pytest.raises((ConfigError, zlib.error, IndexError), match=case.problem):
        packs.fetch(Client(), "", packs.Request(lambda _: [b"1" * 40], []), "reading it")  # type: ignore[arg-type]


@given(st.binary(max_size=200), st.integers(0, 5))
def test_any_pack_is_taken_or_refused(rest: bytes, count: int) -> None:
    class Client:
        def fetch_pack(self, path, wants, walker, write, **_):
            write(b"PACK" + (2).to_bytes(4, "big") + count.to_bytes(4, "big") + rest)
            return type("Result", (), {"object_format": "sha1"})()

    with contextlib.suppress(
        ConfigError, zlib.error, IndexError, AssertionError, ChecksumMismatch, ValueError
    ):
        _, objects = packs.fetch(
            Client(),  # type: ignore[arg-type]
            "",
            packs.Request(lambda _: [b"1" * 40], []),
            "reading it",
        )
        objects.close()


# ---------------------------------------------------------------------------- credentials


@pytest.fixture
async def api():
    """A server that gives tokens of a GitHub App, and notes what it is asked with."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        if "access_tokens" in request.path:
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
            return web.json_response({"token": "t0ken", "expires_at": until}, status=201)
        if request.path.startswith("/moved"):
            raise web.HTTPFound(f"http://localhost:{request.url.port}/there/info/refs")
        raise web.HTTPForbidden

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


async def test_creds_are_sent_and_not_to_where_it_redirects(scene, api) -> None:
    url, asked = api
    secrets = GivenSecrets({("s", "u"): "me\n", ("s", "p"): "secret\n"})
    creds = {"username": {"name": "s", "key": "u"}, "password": {"name": "s", "key": "p"}}
    with pytest.raises(ConfigError, match=r"403: not for us \(look at the credentials"):
        await scene.read(url=f"{url}/moved", creds=creds, secrets=secrets)

    first, second = asked
    assert base64.b64decode(first.headers["Authorization"].split()[1]) == b"me:secret"
    assert second.path == "/there/info/refs"
    assert "Authorization" not in second.headers


async def test_a_github_app_proves_itself_and_keeps_its_token(scene, api) -> None:
    url, asked = api
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    secrets = GivenSecrets({("s", "k"): pem.decode()})
    app = {"privateKey": {"name": "s", "key": "k"}, "appID": 5, "installationID": 6}
    for _ in range(2):
        with pytest.raises(ConfigError, match="403: not for us"):
            await scene.read(url=f"{url}/o/r.git", githubApp=app, secrets=secrets)

    token, *gets = asked
    assert token.path == "/api/v3/app/installations/6/access_tokens"
    head, claims, signature = token.headers["Authorization"].split()[1].split(".")
    said = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
    assert said["iss"] == "5"
    assert said["exp"] - said["iat"] == 600
    key.public_key().verify(
        base64.urlsafe_b64decode(f"{signature}=="),
        f"{head}.{claims}".encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    basic = base64.b64encode(b"x-access-token:t0ken").decode()
    assert [one.headers["Authorization"] for one in gets] == [f"Basic {basic}"] * 2


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.com/o/r", "https://api.github.com"),
        ("https://x.ghe.com/o/r", "https://api.x.ghe.com"),
        ("https://git.corp.test/o/r", "https://git.corp.test:443/api/v3"),
    ],
)
def test_api_of_a_host(url: str, api: str) -> None:
    assert api_of(place_of(url)) == api


# ---------------------------------------------------------------------------- in a manifest

GOOD = {"url": "https://h.test/a", "filePath": "f.yaml"}
KEY = {"name": "s", "key": "k"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "file:///a"}, "no URL of http, https or ssh"),
        ({"sshKeySecret": KEY}, "sshKeySecret is for SSH, and https://h.test/a is not"),
        ({"url": "git@h.test:a"}, "there is no key for SSH"),
        ({"remote": {"name": "r", "urls": ["ftp://x/y"]}}, "no URL of http, https or ssh"),
        ({"filePath": "../f"}, r"it holds \.\."),
        ({"filePath": "~/f"}, r"it holds \.\."),
        ({"remote": {"name": "r"}}, "urls"),
    ],
)
def test_what_can_never_be_read_is_found_at_once(fields: dict, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(ArtifactLocation, {"git": {**GOOD, **fields}}).check()


async def test_without_the_extra_it_is_named(env, monkeypatch) -> None:
    location = ArtifactLocation.model_validate({"git": GOOD})
    location.require()
    monkeypatch.setitem(sys.modules, "dulwich", None)
    for name in [
        name for name in sys.modules if name.startswith(("dulwich.", "sensor.kubernetes.git."))
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"pip install 'tocsin\[git\]'"):
        location.require()
    with pytest.raises(ConfigError, match=r"pip install 'tocsin\[git\]'"):
        await Sources(env).read({"git": GOOD})


async def test_conversations_with_servers_are_so_many_at_a_time(monkeypatch) -> None:
    busy = most = 0

    async def in_thread(*_: object) -> object:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return SimpleNamespace(size=repositories.KEPT_BYTES // 4, close=lambda: None)

    monkeypatch.setattr(repositories, "_in_thread", in_thread)
    known = Repositories()
    reads = [
        known._content(_asked(f"https://git.test/{n}"), "reading")
        for n in range(3 * repositories.AT_ONCE)
    ]
    await asyncio.gather(*reads)
    assert most == repositories.AT_ONCE
    assert len(known._kept) == 4, "more would be too many bytes"


def _asked(url: str) -> Any:
    auth, wanted = SimpleNamespace(identity=""), repositories.Wanted(commit="c")
    return SimpleNamespace(place=url, auth=auth, wanted=wanted, path="x", at=0.0)
