"""What the API server checks of our kinds beside their types, as rules in CEL.

They say what the models say, at `kubectl apply` already. Each holds of everything that the process
accepts: a null is an absent key, and where an old shape stands for a field, it counts too. What is
only warned of (two kinds in one EventBus, of which the first counts) has no rule.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from eventbus.spec import EventBusSpec
from eventsource.aws.account import OnAws
from eventsource.endpoint import Endpoint
from eventsource.files.happening import WatchPathConfig
from eventsource.sources.calendar import Calendar
from eventsource.sources.generic import Generic
from eventsource.sources.github import Github
from eventsource.sources.pub_sub import PubSub
from eventsource.sources.sftp import Sftp
from eventsource.sources.sqs import Sqs
from sensor.artifact import S3Artifact
from sensor.credentials import ValueFrom
from sensor.gather import Batch
from sensor.spec import KINDS, SensorTrigger, TriggerTemplate
from sensor.triggers.aws_lambda import AwsLambda
from sensor.triggers.custom import Custom
from spine.access import TlsConfig
from spine.nats_server import NatsAuth
from spine.schema import OPEN, Rules, Schema

Rule = tuple[str, str]


def _set(name: str) -> str:
    """Whether a field is given; `dyn`, as CEL compares no text with null."""
    return f"(has(self.{name}) && dyn(self.{name}) != null)"


def _filled(name: str) -> str:
    """Whether a text or list is given that is not empty."""
    return f"(has(self.{name}) && dyn(self.{name}) != null && size(self.{name}) > 0)"


def _is(name: str, value: str) -> str:
    return f"(has(self.{name}) && dyn(self.{name}) == {value})"


def _true(name: str) -> str:
    return _is(name, "true")


def _any(names: Iterable[str]) -> str:
    return " || ".join(map(_set, names))


def _some(names: Iterable[str], more: Iterable[str] = (), message: str = "") -> Rule:
    """At least one of these is set, or one of the old shapes `more`."""
    names = list(names)
    said = f"{', '.join(names[:-1])} or {names[-1]}"
    return _any([*names, *more]), message or f"set {said}"


def _together(one: str, other: str, old: tuple[str, str] | None = None) -> Rule:
    """Both are set or none, each perhaps by the path of a file, as of old."""
    left, right = ([name] for name in (one, other))
    if old is not None:
        left, right = [one, old[0]], [other, old[1]]
    message = f"{one} and {other} belong together: set both"
    return f"({_any(left)}) == ({_any(right)})", message


def _path(today: str) -> Schema:
    return {
        "description": f"Path of a file, as of old; write {today}.",
        "type": "string",
        "nullable": True,
    }


def _paths(*names: str) -> dict[str, Schema]:
    return {name: _path(name.removesuffix("Path") + "Secret") for name in names}


def _lower(names: Iterable[str]) -> dict[str, Schema]:
    """Return names that are written in small letters here and there, such as openwhisk."""
    about: Schema = {"type": "object", "nullable": True, **OPEN}
    return {
        name.lower(): {"description": f"Write {name}.", **about}
        for name in names
        if name != name.lower()
    }


def _keys(model: type[BaseModel], names: Iterable[str]) -> list[str]:
    return [model.model_fields[name].alias or name for name in names]


_SOURCE: Schema = {
    "description": "Source of the object, as of old; write k8s.source.",
    "type": "object",
    "nullable": True,
    **OPEN,
}
_BUSES = _keys(EventBusSpec, EventBusSpec.model_fields)
_TRIGGERS = _keys(TriggerTemplate, KINDS)
_OLD_BUSES, _OLD_TRIGGERS = _lower(_BUSES), _lower(_TRIGGERS) | {"source": _SOURCE}
_CERTIFICATES = ("caCertSecret", "caCertPath", "clientCertSecret", "clientCertPath")
_KEYS = Rules((_together("accessKey", "secretKey"),))

RULES: Mapping[type[BaseModel], Rules] = {
    EventBusSpec: Rules((_some(_BUSES, _OLD_BUSES),), seen=_OLD_BUSES),
    Endpoint: Rules(
        (_together("serverCertSecret", "serverKeySecret", ("serverCertPath", "serverKeyPath")),),
        seen=_paths("serverCertPath", "serverKeyPath"),
    ),
    WatchPathConfig: Rules(
        (
            (
                f"{_filled('path')} != {_filled('pathRegexp')}",
                "set path or pathRegexp, and not both",
            ),
        )
    ),
    Calendar: Rules(
        (
            (
                f"{_filled('schedule')} || {_filled('interval')}",
                "set schedule or interval, such as interval: 5m",
            ),
        )
    ),
    Generic: Rules(
        (
            (
                f"!({_set('tls')} && {_true('insecure')})",
                "tls is for a connection that is not insecure: leave one of them away",
            ),
        )
    ),
    Github: Rules(
        (
            (
                f"!({_filled('repositories')} && {_filled('organizations')})",
                "set one of repositories and organizations",
            ),
        )
    ),
    PubSub: Rules(
        (
            (
                f"{_set('push')} || {_filled('topic')} || {_filled('subscriptionID')}",
                "set topic or subscriptionID",
            ),
        )
    ),
    Sftp: Rules((_some(["password", "sshKeySecret"]),)),
    OnAws: _KEYS,
    Sqs: Rules(
        (
            (
                f"!{_set('sessionToken')} || {_set('accessKey')}",
                "sessionToken needs accessKey and secretKey, which it goes with",
            ),
        )
    ),
    TriggerTemplate: Rules(
        (
            _some(
                _TRIGGERS,
                _OLD_TRIGGERS,
                f"it does nothing: set a kind, one of {', '.join(_TRIGGERS)}",
            ),
        ),
        seen=_OLD_TRIGGERS,
    ),
    SensorTrigger: Rules(
        (
            (
                f"!({_set('debounce')} && {_set('batch')})",
                "debounce and batch: a trigger has one of them",
            ),
            (
                f"!({_set('dlqTrigger')} && {_is('atLeastOnce', 'false')})",
                "dlqTrigger needs atLeastOnce: true",
            ),
        )
    ),
    Batch: Rules(((f"{_set('count')} || {_set('duration')}", "set count, duration or both"),)),
    S3Artifact: _KEYS,
    AwsLambda: _KEYS,
    Custom: Rules(
        (
            (
                f"!{_true('secure')} || {_any(['certSecret', 'certFilePath'])}",
                "secure needs certSecret",
            ),
        ),
        seen={"certFilePath": _path("certSecret")},
    ),
    ValueFrom: Rules(some=("secretKeyRef", "configMapKeyRef")),
    TlsConfig: Rules(
        (
            _together("clientCertSecret", "clientKeySecret", ("clientCertPath", "clientKeyPath")),
            (
                f"{_any(_CERTIFICATES)} || {_true('insecureSkipVerify')} || {_true('enabled')}",
                "set caCertSecret, clientCertSecret, insecureSkipVerify or enabled",
            ),
        ),
        seen=_paths("caCertPath", "clientCertPath", "clientKeyPath"),
    ),
    NatsAuth: Rules((_some(["basic", "token", "nkey", "credential"]),)),
}
"""The rules of each model, and of those that are made from it."""
