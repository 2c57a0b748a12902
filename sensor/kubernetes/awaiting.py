"""`policy.k8s`: an action is done when the object says so.

The object is looked at again and again until it bears the labels; a deleted one until it is
gone. When that does not come, the action has failed if `errorOnBackoffTimeout` says so.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from sensor.kubernetes.objects import Target
from spine.errors import ConfigError, KubeError, TriggerError
from spine.kube import Kube
from spine.runtime import Backoff, seconds


async def await_policy(
    kube: Kube, target: Target, content: Mapping[str, Any], live: Mapping[str, Any]
) -> None:
    """Wait as `policy` in an action's content says. Raises TriggerError and KubeError."""
    policy = content.get("policy")
    if policy is None or policy.get("labels") is None:
        return
    name = (live.get("metadata") or {}).get("name") or target.name
    gone = content["operation"] == "delete"
    for wait in [0.0, *_backoff(policy.get("backoff") or {}).waits()]:
        await asyncio.sleep(wait)
        try:
            raw = await kube.get(target.resource, name, target.namespace)
        except KubeError as exc:
            if exc.status == 404 and gone:  # noqa: PLR2004 -- not found
                return
            raise
        labels = (orjson.loads(raw).get("metadata") or {}).get("labels") or {}
        if not gone and all(labels.get(k) == v for k, v in policy["labels"].items()):
            return
    if policy.get("errorOnBackoffTimeout"):
        wanted = ", ".join(f"{k}={v}" for k, v in policy["labels"].items())
        what = "it is still there" if gone else f"it has not got the labels {wanted}"
        raise TriggerError(f"waiting for {target.shown}: {what}")


def _backoff(raw: Mapping[str, Any]) -> Backoff:
    """Return the waits between looks; five looks, a second apart, where nothing is said."""
    duration = raw.get("duration", "1s")
    try:
        first = seconds(duration) if isinstance(duration, str) else duration / 1e9
    except ConfigError as exc:
        raise TriggerError(f"reading policy.k8s.backoff: {exc}", permanent=True) from exc
    steps = raw.get("steps", 5)
    return Backoff(first, raw.get("factor", 1.0), raw.get("jitter", 1.0), max(1, steps) or 5)
