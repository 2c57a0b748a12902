"""The ValidatingWebhookConfiguration: which objects the API server asks about.

Only kinds of ours, and only when they are made or their own part is changed: never when they are
deleted, and never for their status. It leaves out `caBundle`, which the controller writes.
"""

from collections.abc import Sequence
from typing import Any

NAME = "tocsin-webhook"
"""Of the Service and of the configuration."""
WEBHOOK = "validate.tocsin.dev"
"""Name that stands in refusals."""
PATH = "/validate"
EXEMPT = "tocsin.dev/admission"
"""Label of a namespace whose objects nobody asks about, with the value `off`."""
SECONDS = 10
"""That the API server waits for an answer."""
RULES = (
    ("argoproj.io", ("eventbus", "eventsources", "sensors")),
    ("tocsin.dev", ("notifiers",)),
)


def configuration(
    namespace: str,
    *,
    name: str = NAME,
    service: str = NAME,
    url: str = "",
    namespaces: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the configuration.

    `namespace` is that of the Service; `url` takes its place where the API server cannot reach
    Services. `namespaces` are those whose objects are checked; none: all that do not opt out.
    """
    selected: list[dict[str, Any]] = [{"key": EXEMPT, "operator": "NotIn", "values": ["off"]}]
    if namespaces:
        selected.append(
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [*namespaces]}
        )
    client: dict[str, Any] = {"url": url}
    if not url:
        client = {"service": {"name": service, "namespace": namespace, "path": PATH, "port": 443}}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": WEBHOOK,
                "admissionReviewVersions": ["v1"],
                "clientConfig": client,
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {"matchExpressions": selected},
                "sideEffects": "None",
                "timeoutSeconds": SECONDS,
                "rules": [
                    {
                        "apiGroups": [group],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [*plurals],
                        "scope": "Namespaced",
                    }
                    for group, plurals in RULES
                ],
            }
        ],
    }
