"""A notifier without a cluster: a configuration, objects as they change, and who would be told."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from notifier import config
from notifier.current import aliases
from notifier.evaluate import Decision, Seen, evaluate
from notifier.health import HealthRules
from notifier.plan import Plan
from notifier.spec import NotifierSpec, Watch
from notifier.state import ObjectState, decode, encode
from spine.kube.watch import Item, Meta

START = 1_700_000_000.0

CONFIG = """
service.webhook.hook: |
  url: http://hook.test
service.webhook.other: |
  url: http://other.test
trigger.on-failed: |
  - when: pod.status.phase == 'Failed'
    send: [failed]
template.failed: |
  message: "{{ .pod.metadata.name }} failed{{ if .resolved }} no more{{ end }}"
"""


def configuration(text: str, secret: dict[str, str] | None = None, kind: str = "Pod") -> Any:
    """Return a configuration that was read without an error."""
    spec = spec_of(kind)
    found = config.load(
        yaml.safe_load(text) or {},
        secret or {},
        name="cm",
        namespace="default",
        variables=aliases(spec),
    )
    errors = [str(problem) for problem in found.problems if problem.severity == "error"]
    assert not errors, errors
    return found


def spec_of(kind: str = "Pod", **more: Any) -> NotifierSpec:
    """Return a Notifier that watches one kind."""
    return NotifierSpec(watches=[Watch(api_version="v1", kind=kind)], **more)


def plan_of(text: str, secret: dict[str, str] | None = None, **more: Any) -> Plan:
    """Return a configuration, compiled for Pods."""
    return Plan(
        configuration=configuration(text, secret),
        watch=Watch(api_version="v1", kind="Pod"),
        rules=HealthRules.of_config({}, generic=True),
        prefix="notifications.argoproj.io",
        version=text,
        **more,
    )


def item(
    phase: str = "Running",
    *,
    version: int = 1,
    name: str = "web",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    **status: Any,
) -> Item:
    """Return a Pod as it is watched."""
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "annotations": annotations or {},
        "labels": labels or {},
    }
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Always"},
        "status": {"phase": phase, **status},
    }
    meta = Meta(
        uid=metadata["uid"],
        name=name,
        namespace="default",
        resource_version=str(version),
        labels=labels,
        annotations=annotations,
    )
    return Item(meta, orjson.dumps(body))


SUBSCRIBED = {"notifications.argoproj.io/subscribe.on-failed.hook": ""}


@dataclass
class Story:
    """One Pod that changes, and what its changes lead to."""

    plan: Plan
    annotations: dict[str, str] = field(default_factory=lambda: dict(SUBSCRIBED))
    labels: dict[str, str] = field(default_factory=dict)
    state: ObjectState = field(default_factory=ObjectState)
    now: float = START
    version: int = 0
    decision: Decision = field(default_factory=Decision)
    confirms: bool = True
    """Whether every message is taken by its service at once."""

    def look(self, phase: str = "Running", *, later: float = 1.0, **more: Any) -> list[str]:
        """Let time pass, change the Pod, and return the messages as `service:recipient text`."""
        self.now += later
        self.version += 1
        return self.again(phase, **more)

    def again(self, phase: str = "Running", *, type: Any = "MODIFIED", **more: Any) -> list[str]:
        """Evaluate without a change."""
        found = item(
            phase,
            version=self.version,
            annotations=self.annotations,
            labels=self.labels,
            **more,
        )
        self.state = decode(encode(self.state))  # as after a restart
        seen = Seen(type, found.meta, orjson.loads(found.raw))
        self.decision = evaluate(self.plan, seen, self.state, self.now)
        for sent in self.decision.notifications:
            told = self.state.phase(sent.trigger, sent.condition).found(
                sent.service, sent.recipient, sent.once
            )
            if self.confirms and told is not None and not sent.resolved:
                told.stage, told.confirmed = "sent", sent.key
        return [
            f"{sent.service}:{sent.recipient} {sent.message.text}".strip()
            for sent in self.decision.notifications
        ]
