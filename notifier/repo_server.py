"""An Argo CD repo-server, asked by gRPC.

Its messages are declared here as far as they are needed, by name, number and type, so no generated
code is kept. The address is `host:port`, where any certificate is taken as Argo CD's own components
do, `https://host:port`, where it is checked, or `http://host:port` without TLS.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from notifier.repo import Call
from spine.errors import ConfigError, TriggerError
from spine.lang import EvaluationError, gotime
from spine.lang.gotemplate.functions import Function
from spine.lang.govalue import Strings

if TYPE_CHECKING:
    import grpc.aio

WITHIN = 10.0
"""Seconds for an answer; the server may have to fetch the repository first."""
LARGEST = 8 * 1024 * 1024
"""Bytes of an answer."""
_SERVICE = "repository.RepoServerService"

_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "Repository": {
        "repo": (1, "string"),
        "type": (11, "string"),
        "enableOCI": (14, "bool"),
        "project": (20, "string"),
    },
    "HelmParameter": {"name": (1, "string"), "value": (2, "string"), "forceString": (3, "bool")},
    "HelmFileParameter": {"name": (1, "string"), "path": (2, "string")},
    "SourceHelm": {
        "valueFiles": (1, "string*"),
        "parameters": (2, "HelmParameter*"),
        "releaseName": (3, "string"),
        "values": (4, "string"),
        "fileParameters": (5, "HelmFileParameter*"),
        "ignoreMissingValueFiles": (8, "bool"),
    },
    "SourceKustomize": {
        "namePrefix": (1, "string"),
        "nameSuffix": (2, "string"),
        "images": (3, "string*"),
        "version": (5, "string"),
    },
    "SourceDirectory": {"recurse": (1, "bool"), "exclude": (3, "string"), "include": (4, "string")},
    "SourcePlugin": {"name": (1, "string")},
    "Source": {
        "repoURL": (1, "string"),
        "path": (2, "string"),
        "targetRevision": (4, "string"),
        "helm": (7, "SourceHelm"),
        "kustomize": (8, "SourceKustomize"),
        "directory": (10, "SourceDirectory"),
        "plugin": (11, "SourcePlugin"),
        "chart": (12, "string"),
        "ref": (13, "string"),
        "name": (14, "string"),
    },
    "RevisionQuery": {"repo": (1, "Repository"), "revision": (2, "string")},
    "DetailsQuery": {
        "repo": (1, "Repository"),
        "source": (2, "Source"),
        "appName": (5, "string"),
    },
    "Time": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "Revision": {
        "author": (1, "string"),
        "date": (2, "Time"),
        "tags": (3, "string*"),
        "message": (4, "string"),
    },
    "Helm": {
        "name": (1, "string"),
        "valueFiles": (3, "string*"),
        "parameters": (4, "HelmParameter*"),
        "values": (5, "string"),
        "fileParameters": (6, "HelmFileParameter*"),
    },
    "Kustomize": {"images": (3, "string*")},
    "Directory": {},
    "Details": {
        "type": (1, "string"),
        "helm": (3, "Helm"),
        "kustomize": (4, "Kustomize"),
        "directory": (5, "Directory"),
    },
}
"""Messages of Argo CD's repository.proto and of its types, `*` for lists."""


@cache
def messages() -> Mapping[str, Any]:
    """Return the classes of the messages by our names. Raises ConfigError without the library."""
    try:
        from google.protobuf import (
            descriptor_pb2,
            descriptor_pool,
            message_factory,
        )
    except ImportError as exc:
        raise _missing(exc) from exc
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": kinds.TYPE_STRING,
        "bool": kinds.TYPE_BOOL,
        "int64": kinds.TYPE_INT64,
        "int32": kinds.TYPE_INT32,
    }
    file = descriptor_pb2.FileDescriptorProto(name="repo.proto", package="repo", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, written) in fields.items():
            kind = written.rstrip("*")
            label = kinds.LABEL_REPEATED if written.endswith("*") else kinds.LABEL_OPTIONAL
            made = message.field.add(name=field, number=number, label=label)
            made.type = scalars.get(kind, kinds.TYPE_MESSAGE)
            if kind not in scalars:
                made.type_name = f".repo.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"repo.{name}"))
        for name in _MESSAGES
    }


def _missing(exc: ImportError) -> ConfigError:
    return ConfigError(f"asking a repo-server: {exc}", hint="pip install 'tocsin[grpc]'")


@asynccontextmanager
async def open_repo_server(address: str) -> AsyncIterator["Server"]:
    """Return the client of a repo-server. Raises ConfigError; nothing is connected yet."""
    try:
        import grpc.aio  # noqa: F401 -- whether it is there
    except ImportError as exc:
        raise _missing(exc) from exc
    messages()
    server = Server(address)
    try:
        yield server
    finally:
        await server.close()


class Server:
    """Asks a repo-server; connects when it is asked, and anew after a connection failed."""

    def __init__(self, address: str) -> None:
        scheme, _, place = address.rpartition("://")
        host, _, port = place.rpartition(":")
        if scheme not in {"", "http", "https"} or not host or not port.isdigit():
            raise ConfigError(
                f"reading the address of a repo-server {address!r}: it is no host:port",
                hint="such as argocd-repo-server:8081",
            )
        self._scheme, self._place = scheme, place
        self._host, self._port = host.strip("[]"), int(port)
        self._channel: grpc.aio.Channel | None = None
        self._opening = asyncio.Lock()

    async def ask(self, call: Call) -> dict[str, Any]:
        """Return the answer as programs see it. Raises TriggerError."""
        import grpc

        what = f"asking repo-server {self._place} about {call.about!r}"
        try:
            query, answer = _query(call), messages()[_ANSWERS[call.method]]
            async with asyncio.timeout(WITHIN):
                channel = await self._open()
                method = channel.unary_unary(
                    f"/{_SERVICE}/{call.method}",
                    request_serializer=type(query).SerializeToString,
                    response_deserializer=answer.FromString,
                )
                found = await method(query)
        except TimeoutError as exc:
            raise TriggerError(f"{what}: no answer in {WITHIN:g} s") from exc
        except grpc.aio.AioRpcError as exc:
            if exc.code() is grpc.StatusCode.UNAVAILABLE:
                await self.close()
            raise TriggerError(f"{what}: {exc.code().name}: {exc.details()}") from exc
        except (OSError, EvaluationError) as exc:
            raise TriggerError(f"{what}: {exc}") from exc
        return _commit(found) if call.method == "GetRevisionMetadata" else _details(found)

    async def close(self) -> None:
        """Close the connection; the next question opens another one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _open(self) -> "grpc.aio.Channel":
        import grpc
        import grpc.aio

        async with self._opening:
            if self._channel is None:
                options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", LARGEST)]
                if self._scheme == "http":
                    self._channel = grpc.aio.insecure_channel(self._place, options=options)
                else:
                    root, name = None, ""
                    if not self._scheme:
                        root, name = await asyncio.to_thread(_certificate, self._host, self._port)
                    if name:
                        options.append(("grpc.ssl_target_name_override", name))
                    tls = grpc.ssl_channel_credentials(root_certificates=root)
                    self._channel = grpc.aio.secure_channel(self._place, tls, options=options)
            return self._channel


def _certificate(host: str, port: int) -> tuple[bytes, str]:
    """Return the certificate that a server shows, and a name in it, to trust just that one."""
    pem = ssl.get_server_certificate((host, port), timeout=WITHIN)
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with (
        socket.create_connection((host, port), timeout=WITHIN) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        shown = secure.getpeercert() or {}
    pairs: Any = shown.get("subjectAltName", ())
    names = [str(name) for kind, name in pairs if kind == "DNS"]
    return pem.encode(), "" if host in names or not names else names[0].replace("*", "any")


# ---------------------------------------------------------------------------- messages

_ANSWERS = {"GetRevisionMetadata": "Revision", "GetAppDetails": "Details"}


def _query(call: Call) -> Any:
    """Return the message of a question. Raises EvaluationError for a source that is none."""
    from google.protobuf import json_format

    source = json.loads(call.source)
    url = source["repoURL"]
    chart = bool(source.get("chart"))
    repo = {"repo": url, "type": "helm" if chart else "git", "project": call.project}
    if chart and "://" not in url:
        repo["enableOCI"] = True
    if call.method == "GetRevisionMetadata":
        name, query = "RevisionQuery", {"repo": repo, "revision": call.about}
    else:
        name, query = "DetailsQuery", {"repo": repo, "source": source, "appName": call.about}
    try:
        return json_format.ParseDict(query, messages()[name](), ignore_unknown_fields=True)
    except json_format.ParseError as exc:
        raise EvaluationError(f"its spec.source is not as it should be: {exc}") from exc


def _commit(found: Any) -> dict[str, Any]:
    return {
        "Message": found.message,
        "Author": found.author,
        "Date": gotime.Time(found.date.seconds, found.date.nanos),
        "Tags": Strings(found.tags),
    }


def _details(found: Any) -> dict[str, Any]:
    kustomize = {"Images": Strings(found.kustomize.images)} if found.HasField("kustomize") else None
    return {
        "Type": found.type,
        "Helm": Helm.of(found.helm) if found.HasField("helm") else None,
        "Kustomize": kustomize,
        "Directory": {} if found.HasField("directory") else None,
    }


class Helm(dict[str, Any]):
    """Details of a chart, with the methods that Argo CD's have."""

    @classmethod
    def of(cls, found: Any) -> "Helm":
        """Return the details that a message has."""
        parameters = [
            {"Name": one.name, "Value": one.value, "ForceString": one.forceString}
            for one in found.parameters
        ]
        files = [{"Name": one.name, "Path": one.path} for one in found.fileParameters]
        return cls(
            Name=found.name,
            ValueFiles=Strings(found.valueFiles),
            Parameters=parameters,
            Values=found.values,
            FileParameters=files,
        )

    @override
    def get(self, key: str, default: Any = None) -> Any:
        method = self.GO_METHODS.get(key)  # how expressions find it
        return super().get(key, default) if method is None else partial(method.call, self)

    def parameter(self, name: str) -> str:
        """Return the value of a parameter, empty where there is none of that name."""
        return next((one["Value"] for one in self["Parameters"] if one["Name"] == name), "")

    def file(self, name: str) -> str:
        """Return the path of a file parameter, empty where there is none of that name."""
        return next((one["Path"] for one in self["FileParameters"] if one["Name"] == name), "")

    GO_METHODS: ClassVar[Mapping[str, Function]] = {
        "GetParameterValueByName": Function("GetParameterValueByName", "string", parameter),
        "GetFileParameterPathByName": Function("GetFileParameterPathByName", "string", file),
    }
