"""The protocol of `eventing.proto`, without generated code.

A program in Python that is to be an event source needs no more than this: see `handler`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from typing import Any

from spine.errors import ConfigError

SERVICE = "generic.Eventing"
METHOD = "StartEventSource"
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "EventSource": {"name": (1, "string"), "config": (2, "bytes")},
    "Event": {"name": (1, "string"), "payload": (2, "bytes")},
}

Happening = Callable[[str, bytes], AsyncIterator[bytes]]
"""Gives the data of events, for the name of the event and its configuration."""


@cache
def messages() -> Mapping[str, Any]:
    """Return the classes of the messages by name. Raises ConfigError without the library."""
    try:
        import grpc.aio  # noqa: F401 -- whether it is there
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as exc:
        raise ConfigError(f"calling by gRPC: {exc}", hint="pip install 'tocsin[grpc]'") from exc
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="eventing.proto", package="generic", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            scalar = kinds.TYPE_STRING if kind == "string" else kinds.TYPE_BYTES
            label = kinds.LABEL_OPTIONAL
            message.field.add(name=field, number=number, label=label, type=scalar)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"generic.{name}"))
        for name in _MESSAGES
    }


def handler(happening: Happening, token: str = "") -> Any:
    """Return what a `grpc.aio` server is given to be an event source.

    With a token, only who presents it is told anything. Used as in
    `server.add_generic_rpc_handlers((handler(happening),))`; see the example
    `examples/event-sources/generic_server.py`.
    """
    import hmac

    import grpc

    known = messages()
    wanted = f"Bearer {token}".encode()

    async def start(asked: Any, context: Any) -> AsyncIterator[Any]:
        given = dict(context.invocation_metadata()).get("authorization", "").encode()
        if token and not hmac.compare_digest(given, wanted):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is not the one")
        await context.send_initial_metadata(())  # so that the caller knows that it is heard
        async for data in happening(asked.name, asked.config):
            yield known["Event"](name=asked.name, payload=data)

    method = grpc.unary_stream_rpc_method_handler(
        start, known["EventSource"].FromString, known["Event"].SerializeToString
    )
    return grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})
