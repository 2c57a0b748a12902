"""Values for which the chart is rendered by Helm and by us, and tried on an API server."""

from typing import Any

from helm_kit import Case

CONTROLLER = "tocsin-controller"
WEBHOOK = frozenset(
    {
        "Service/tocsin-webhook",
        "ValidatingWebhookConfiguration/tocsin-webhook",
        "ClusterRole/tocsin-webhook",
        "ClusterRoleBinding/tocsin-webhook",
    }
)
CRDS = frozenset(
    f"CustomResourceDefinition/{name}"
    for name in (
        "eventbus.argoproj.io",
        "eventsources.argoproj.io",
        "sensors.argoproj.io",
        "notifiers.tocsin.dev",
    )
)
AGGREGATED = frozenset(
    f"ClusterRole/tocsin-aggregate-to-{role}" for role in ("admin", "edit", "view")
)
ROLES = frozenset(
    {
        f"ClusterRole/{CONTROLLER}",
        f"ClusterRoleBinding/{CONTROLLER}",
        f"Role/{CONTROLLER}-own",
        f"RoleBinding/{CONTROLLER}-own",
    }
)
DEFAULT = (
    WEBHOOK
    | AGGREGATED
    | ROLES
    | frozenset(
        f"{kind}/{CONTROLLER}"
        for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget")
    )
)
MONITORS = frozenset({f"ServiceMonitor/{CONTROLLER}", "PodMonitor/tocsin-pods"})
PLACED = ("sources", "sensors", "bus")

TRICKY = {
    "a": "y", "b": "1e3", "c": "0x10", "d": "true", "e": "null", "f": "1.0", "g": "2001-01-01",
    "h": "x: y", "i": "#", "j": "two\nlines\n", "k": " space ", "l": "é ☃", "m": "'\"\\", "n": "",
    "o": "~", "p": "{}", "q": "- a", "r": "012", "s": "off", "t": "a #b", "u": "{{ .Values }}",
    "v": "x" * 300 + " " + "y" * 300, "x": "---", "y/z.a": "!tag", "1": "%",
}  # fmt: skip
"""Texts that a reader of YAML may take for something else."""

SELECTOR = [{"podSelector": {"matchLabels": {"team": "a"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
SPREAD = {
    "maxSkew": 2,
    "topologyKey": "zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"a": "b"}},
}
NODES = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
        }
    }
}
POD: dict[str, Any] = {
    "replicas": 1,
    "lease": "ours",
    "leaseDuration": "1m",
    "grace": "1h30m",
    "makeServiceAccounts": True,
    "allowTemplate": ["env", "keys"],
    "templateAccounts": ["sensor-*", "shop/operate-?"],
    "logFormat": "text",
    "logLevel": "debug",
    "resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}},
    "topologySpreadConstraints": [SPREAD],
    "affinity": NODES,
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [
        {"key": "infra", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1000000}
    ],
    "priorityClassName": "system-cluster-critical",
    "podSecurityContext": {"runAsNonRoot": True, "runAsUser": 1000000},
    "securityContext": {"readOnlyRootFilesystem": True},
    "terminationGracePeriodSeconds": 5,
    "annotations": TRICKY,
    "podAnnotations": TRICKY,
    "podLabels": {"team": "a", "on": "y"},
    "extraArgs": ["--host=0.0.0.0", "-n", "10"],
    "extraEnv": [
        {"name": "TOCSIN_DECISIONS", "value": "all"},
        {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "extraEnvFrom": [{"secretRef": {"name": "more", "optional": True}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca", "defaultMode": 292}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
}
METRICS: dict[str, Any] = {
    "serviceMonitor": {"enabled": True, "interval": "5s", "labels": {"release": "prometheus"}},
    "podMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}},
    "alerts": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "alertLabels": {"team": "a", "n": "1"},
        "backlog": 1000000,
        "slowSeconds": 5,
    },
    "dashboard": {"enabled": True, "annotations": {"folder": "Tocsin"}},
}
MEASURED = MONITORS | {"PrometheusRule/tocsin", "ConfigMap/tocsin-dashboard"}
POLICIES = {
    "enabled": True,
    "metricsFrom": SELECTOR,
    "sourcesFrom": SELECTOR,
    "busFrom": SELECTOR,
    "never": ["169.254.0.0/16", "10.1.0.0/16"],
}


def policies(*namespaces: str) -> frozenset[str]:
    """Return the NetworkPolicies in namespaces; the empty one is that of the release."""
    spaces = [f"{space}/" if space else "" for space in namespaces]
    placed = {f"NetworkPolicy/{space}tocsin-{one}" for space in spaces for one in PLACED}
    return frozenset({f"NetworkPolicy/{CONTROLLER}", *placed})


def roles(*namespaces: str) -> frozenset[str]:
    """Return what takes the place of the ClusterRole."""
    kinds = ("Role", "RoleBinding")
    return frozenset(f"{kind}/{space}/{CONTROLLER}" for kind in kinds for space in namespaces)


CLUSTERWIDE = frozenset({f"ClusterRole/{CONTROLLER}", f"ClusterRoleBinding/{CONTROLLER}"})
BUDGET = frozenset({f"PodDisruptionBudget/{CONTROLLER}"})

CASES = [
    Case("default", more=CRDS, crds=True),
    Case("no-webhook", {"webhook": {"enabled": False}}, less=WEBHOOK),
    Case(
        "webhook",
        {
            "webhook": {
                "failurePolicy": "Ignore",
                "timeoutSeconds": 3,
                "port": 9443,
                "namespaceSelector": {"matchLabels": {"tocsin": "yes"}},
            }
        },
    ),
    Case("no-crds"),
    Case("crds-go", {"crds": {"keep": False}}, more=CRDS, crds=True),
    Case("no-rights", {"rbac": {"create": False}}, less=ROLES | {
        "ClusterRole/tocsin-webhook", "ClusterRoleBinding/tocsin-webhook"}),
    Case("no-aggregation", {"rbac": {"aggregate": False}}, less=AGGREGATED),
    Case(
        "namespaces",
        {"namespaces": ["shop", "billing", "shop"]},
        more=roles("shop", "billing"),
        less=CLUSTERWIDE,
    ),
    Case(
        "own-namespace",
        {"namespaces": ["tocsin"]},
        more=frozenset({f"Role/{CONTROLLER}", f"RoleBinding/{CONTROLLER}"}),
        less=CLUSTERWIDE,
    ),
    Case(
        "account",
        {"serviceAccount": {"name": "mine", "annotations": {"role": "arn:x"}}},
        more=frozenset({"ServiceAccount/mine"}),
        less=frozenset({f"ServiceAccount/{CONTROLLER}"}),
    ),
    Case(
        "no-account",
        {"serviceAccount": {"create": False, "name": "default"}},
        less=frozenset({f"ServiceAccount/{CONTROLLER}"}),
    ),
    Case("tag", {"image": {"repository": "registry.example.com:5000/a/tocsin", "tag": "1.2"}}),
    Case(
        "digest",
        {
            "image": {
                "digest": "sha256:" + "a" * 64,
                "pullPolicy": "Always",
                "pullSecrets": [{"name": "registry"}],
            }
        },
    ),
    Case("pod", {"controller": POD}, less=BUDGET),
    Case(
        "no-budget", {"controller": {"podDisruptionBudget": {"enabled": False}}}, less=BUDGET
    ),
    Case("budget", {"controller": {"podDisruptionBudget": {"maxUnavailable": "50%"}}}),
    Case(
        "labels",
        {"commonLabels": {"team": "a", "cost": "007", "on": "off"}},
        more=CRDS,
        crds=True,
    ),
    Case("metrics", {"metrics": METRICS}, more=MEASURED),
    Case(
        "metrics-of-namespaces",
        {"metrics": METRICS, "namespaces": ["shop"]},
        more=MEASURED | roles("shop"),
        less=CLUSTERWIDE,
    ),
    Case("policies", {"networkPolicies": {"enabled": True}}, more=policies("")),
    Case(
        "policies-of-namespaces",
        {"networkPolicies": POLICIES, "namespaces": ["shop"], "webhook": {"enabled": False}},
        more=policies("shop") | roles("shop"),
        less=CLUSTERWIDE | WEBHOOK,
    ),
    Case(
        "policies-elsewhere",
        {"networkPolicies": {**POLICIES, "namespaces": ["shop", "billing"]}},
        more=policies("shop", "billing"),
    ),
    Case(
        "egress",
        {"egress": {"hosts": ["*.example.com", "a.b"], "addresses": ["169.254.20.10", "fd00::1"]}},
    ),
    Case("global", {"global": {"imageRegistry": "x"}}),
]  # fmt: skip

RENAMED = [
    Case("release", release="bell", namespace="infra"),
    Case("override", {"fullnameOverride": "a-name-that-is-as-long-as-it-can-be-here"}),
]
"""Names of their own; all of the default but for CRDs, called otherwise."""

WRONG = [
    ({"controler": {}}, "controler"),
    ({"image": {"tga": "1"}}, "tga"),
    ({"image": {"tag": 1}}, "tag"),
    ({"image": {"tag": None}}, "tag"),
    ({"image": {"digest": "sha256:0"}}, "digest"),
    ({"image": None}, "image"),
    ({"image": "tocsin:1"}, "image"),
    ({"controller": {"replicas": "2"}}, "replicas"),
    ({"controller": {"replicas": 21}}, "replicas"),
    ({"controller": {"grace": "a day"}}, "grace"),
    ({"controller": {"makeServiceAccounts": "yes"}}, "makeServiceAccounts"),
    ({"controller": {"leaseDuration": "15"}}, "leaseDuration"),
    ({"controller": {"allowTemplate": ["root"]}}, "allowTemplate"),
    ({"controller": {"allowTemplate": "env"}}, "allowTemplate"),
    ({"controller": {"templateAccounts": ["a/b/c"]}}, "templateAccounts"),
    ({"egress": {"hosts": ["a.b,c.d"]}}, "hosts"),
    ({"egress": {"addresses": ["10.0.0.0/8"]}}, "addresses"),
    ({"egress": "*.example.com"}, "egress"),
    ({"controller": {"extraArgs": "--x"}}, "extraArgs"),
    ({"controller": {"podDisruptionBudget": {"minAvailable": 1}}}, "minAvailable"),
    ({"webhook": {"failurePolicy": "Maybe"}}, "failurePolicy"),
    ({"webhook": {"port": 0}}, "port"),
    ({"Webhook": {"enabled": False}}, "Webhook"),
    ({"namespaces": ["Shop"]}, "namespaces"),
    ({"namespaces": "shop"}, "namespaces"),
    ({"metrics": {"alerts": {"backlog": 0}}}, "backlog"),
    ({"metrics": {"alerts": {"slowSeconds": 300}}}, "slowSeconds"),
    ({"commonLabels": {"a": True}}, "commonLabels"),
    ({"fullname_override": "x"}, "fullname_override"),
]
"""Values that are refused, and what the complaint names."""
