"""Functions of `repo` against a server with the service and methods of Argo CD's repo-server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from ports import free_port

from notifier.expressions import compile_expression
from notifier.repo import DOUBTFUL, Repo
from notifier.repo_server import messages, open_repo_server
from notifier.variables import ALWAYS, variables
from spine.lang import EvaluationError, gotemplate

SERVICE = "repository.RepoServerService"
APP: dict[str, Any] = {
    "kind": "Application",
    "metadata": {"name": "shop"},
    "spec": {
        "project": "default",
        "source": {
            "repoURL": "https://git.example.com/acme/shop.git",
            "path": "deploy",
            "targetRevision": "main",
            "helm": {"valueFiles": ["prod.yaml"], "parameters": [{"name": "a", "value": "b"}]},
            "unknown": {"x": 1},
        },
    },
    "status": {"sync": {"revision": "abc123"}},
}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def message(repo: Repo, sha: str = "abc123") -> Any:
    return repo.functions(APP)["GetCommitMetadata"](sha)["Message"]


@dataclass
class Place:
    port: int
    queries: list[Any]


@asynccontextmanager
async def serving(credentials: Any = None, port: int = 0) -> AsyncIterator[Place]:
    """Run a repo-server with Argo CD's service and methods."""
    import grpc.aio

    known, queries = messages(), []

    async def revision(query: Any, context: Any) -> Any:
        queries.append(query)
        if query.revision == "bad":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such commit")
        date = {"seconds": 1_700_000_000, "nanos": 5}
        return known["Revision"](author="A <a@b>", date=date, tags=["v1", "v2"], message="fix it\n")

    async def details(query: Any, _context: Any) -> Any:
        queries.append(query)
        helm = {
            "name": "chart",
            "valueFiles": ["values.yaml"],
            "parameters": [{"name": "image.tag", "value": "v2"}],
            "fileParameters": [{"name": "cfg", "path": "c.yaml"}],
        }
        return known["Details"](type="Helm", helm=helm)

    def method(run: Any, query: str, answer: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            run, known[query].FromString, known[answer].SerializeToString
        )

    methods = {
        "GetRevisionMetadata": method(revision, "RevisionQuery", "Revision"),
        "GetAppDetails": method(details, "DetailsQuery", "Details"),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    address = f"127.0.0.1:{port}"
    if credentials is None:
        bound = server.add_insecure_port(address)
    else:
        bound = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield Place(bound, queries)
    finally:
        await server.stop(0)


TEXT = (
    "{{ $c := call .repo.GetCommitMetadata .app.status.sync.revision }}{{ $c.Message | trim }} by "
    "{{ $c.Author }} {{ $c.Date.UTC.Year }} {{ $c.Tags }} "
    "{{ with call .repo.GetAppDetails }}{{ .Type }} "
    '{{ .Helm.Name }} {{ .Helm.GetParameterValueByName "image.tag" }} '
    '{{ .Helm.GetFileParameterPathByName "cfg" }}{{ .Helm.GetParameterValueByName "none" }} '
    "{{ .Helm.ValueFiles }}{{ .Kustomize }}{{ end }}"
)
WANTED = "fix it by A <a@b> 2023 [v1 v2] Helm chart v2 c.yaml [values.yaml]<no value>"


async def test_templates_and_expressions_by_grpc() -> None:
    async with serving() as place, open_repo_server(f"http://127.0.0.1:{place.port}") as server:
        repo = Repo(server)
        found = variables(APP, alias="app", repo=repo)
        render = gotemplate.compile(TEXT).render
        expression = compile_expression(
            "repo.GetCommitMetadata(app.status.sync.revision).Message contains 'fix' and "
            "repo.GetAppDetails().Helm?.GetParameterValueByName('image.tag') == 'v2' and "
            "repo.GetCommitMetadata('x').Date.Unix() == 1700000000",
            variables=ALWAYS,
        )

        assert await repo.settle(lambda: render(found)) == WANTED
        assert await repo.settle(lambda: expression.value(found)) is True

    revision, details, other = place.queries
    assert (revision.revision, other.revision) == ("abc123", "x")
    source = APP["spec"]["source"]
    assert (revision.repo.repo, revision.repo.type) == (source["repoURL"], "git")
    assert revision.repo.project == "default"
    assert (details.appName, details.source.path) == ("shop", "deploy")
    assert details.source.targetRevision == "main"
    assert list(details.source.helm.valueFiles) == ["prod.yaml"]
    assert details.source.helm.parameters[0].value == "b"


async def test_what_the_server_refuses_is_said() -> None:
    async with serving() as place, open_repo_server(f"http://127.0.0.1:{place.port}") as server:
        repo = Repo(server)

        with pytest.raises(EvaluationError, match="about 'bad': NOT_FOUND: no such commit"):
            await repo.settle(lambda: message(repo, "bad"))


async def test_a_server_that_is_away_is_an_error_and_asked_again_when_it_is_back() -> None:
    port, clock = free_port(), Clock()
    async with open_repo_server(f"http://127.0.0.1:{port}") as server:
        repo = Repo(server, clock)
        with pytest.raises(EvaluationError, match="UNAVAILABLE"):
            await repo.settle(lambda: message(repo))
        clock.now = DOUBTFUL + 1
        async with serving(port=port):
            assert await repo.settle(lambda: message(repo)) == "fix it\n"


def certificate(name: str) -> tuple[bytes, bytes]:
    """Return key and certificate that nobody else vouches for, as a repo-server makes them."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "repo")])
    names = [x509.DNSName(name), x509.IPAddress(ip_address("10.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, made.public_bytes(pem)


async def test_the_certificate_of_a_repo_server_is_taken_as_it_is_and_checked_where_asked() -> None:
    import grpc

    credentials = grpc.ssl_server_credentials([certificate("reposerver")])
    async with serving(credentials) as place:
        async with open_repo_server(f"127.0.0.1:{place.port}") as server:
            repo = Repo(server)
            assert await repo.settle(lambda: message(repo)) == "fix it\n"
        async with open_repo_server(f"https://127.0.0.1:{place.port}") as server:
            repo = Repo(server)
            with pytest.raises(EvaluationError, match="UNAVAILABLE"):
                await repo.settle(lambda: message(repo))


async def test_a_chart_is_said_to_be_one() -> None:
    app = {**APP, "spec": {"source": {"repoURL": "registry.example.com/charts", "chart": "shop"}}}
    async with serving() as place, open_repo_server(f"http://127.0.0.1:{place.port}") as server:
        repo = Repo(server)
        await repo.settle(repo.functions(app)["GetAppDetails"])

    repo_message = place.queries[0].repo
    assert (repo_message.type, repo_message.enableOCI) == ("helm", True)


async def test_a_source_of_another_shape_is_an_error() -> None:
    app = {**APP, "spec": {"source": {"repoURL": "u", "path": 5}}}
    async with serving() as place, open_repo_server(f"http://127.0.0.1:{place.port}") as server:
        repo = Repo(server)
        with pytest.raises(EvaluationError, match=r"its spec\.source is not as it should be"):
            await repo.settle(repo.functions(app)["GetAppDetails"])
