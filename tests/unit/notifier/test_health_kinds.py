"""Health of the kinds of Kubernetes, rule by rule, and the generic rule for all others."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.health import STATUSES, Health, HealthRules

RULES = HealthRules(generic=False)
GENERIC = HealthRules(generic=True)


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    """apiVersion and kind."""
    status: str
    """The status that is wanted, and how its message begins after a colon."""
    obj: str
    """The rest of the object in YAML's flow style."""

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def read(case: Case) -> dict[str, Any]:
    import yaml

    api_version, kind = case.kind.split(" ")
    given: dict[str, Any] = yaml.safe_load("{" + case.obj + "}") or {}
    return {"metadata": {"name": "x"}, "spec": {}, **given, "apiVersion": api_version, "kind": kind}


def matches(found: Health | None, wanted: str) -> bool:
    status, _, message = wanted.partition(": ")
    return found is not None and found.status == status and found.message.startswith(message)


D, R, S, DS = "apps/v1 Deployment", "apps/v1 ReplicaSet", "apps/v1 StatefulSet", "apps/v1 DaemonSet"
P, J, C = "v1 Pod", "batch/v1 Job", "batch/v1 CronJob"
W = "argoproj.io/v1alpha1 Workflow"
H1, H2 = "autoscaling/v1 HorizontalPodAutoscaler", "autoscaling/v2 HorizontalPodAutoscaler"
OLD = "metadata: {generation: 2}, "
HANDS = 'metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: "true"'
STUCK = "status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: "

CASES = [
    Case("paused", D, "Suspended", "spec: {paused: true}"),
    Case("unseen", D, "Progressing: the last change", OLD + "status: {observedGeneration: 1}"),
    Case("no status", D, "Progressing: the last change", OLD + "spec: {replicas: 1}"),
    Case("late", D, "Degraded: too slow", "status: {availableReplicas: 1, conditions: [{type: "
         "Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: too slow}]}"),
    Case("updating", D, "Progressing: 1 of 2 replicas are updated",
         "spec: {replicas: 2}, status: {updatedReplicas: 1, availableReplicas: 2, replicas: 2}"),
    Case("old ones", D, "Progressing: 1 old replicas",
         "spec: {replicas: 2}, status: {updatedReplicas: 2, availableReplicas: 2, replicas: 3}"),
    Case("not available", D, "Progressing: 1 of 2 updated replicas are available",
         "spec: {replicas: 2}, status: {updatedReplicas: 2, availableReplicas: 1, replicas: 2}"),
    Case("healthy", D, "Healthy",
         OLD + "spec: {replicas: 2}, status: {observedGeneration: 2, updatedReplicas: 2, "
         "availableReplicas: 2, replicas: 2}"),
    Case("none", D, "Healthy", "spec: {replicas: 0}, status: {observedGeneration: 1}"),
    Case("wrong version", "apps/v1beta1 Deployment", "Unknown: Deployment of apps/v1beta1", ""),
    Case("misshapen", D, "Unknown: reading a Deployment", "spec: [1]"),
    Case("misshapen status", D, "Unknown: reading a Deployment", "status: {updatedReplicas: x}"),

    Case("unseen", R, "Progressing", OLD + "status: {observedGeneration: 1}"),
    Case("failure", R, "Degraded: quota",
         "status: {conditions: [{type: ReplicaFailure, status: 'True', message: quota}]}"),
    Case("few", R, "Progressing: 0 of 1", "spec: {replicas: 1}"),
    Case("healthy", R, "Healthy", "spec: {replicas: 1}, status: {availableReplicas: 1}"),

    Case("never seen", S, "Progressing", "status: {observedGeneration: 0}"),
    Case("few", S, "Progressing: 1 of 2 replicas are ready",
         "spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 1}"),
    Case("part", S, "Progressing: 1 of 2 replicas of this part",
         "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}, "
         "status: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 1}"),
    Case("part done", S, "Healthy",
         "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}, "
         "status: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 2, "
         "updateRevision: b, currentRevision: a}"),
    Case("on delete", S, "Healthy", "spec: {replicas: 1, updateStrategy: {type: OnDelete}}, "
         "status: {observedGeneration: 1, readyReplicas: 1, updateRevision: b}"),
    Case("revisions", S, "Progressing", "spec: {replicas: 1}, status: {observedGeneration: 1, "
         "readyReplicas: 1, updateRevision: b, currentRevision: a}"),
    Case("healthy", S, "Healthy", "spec: {replicas: 1}, status: {observedGeneration: 1, "
         "readyReplicas: 1, updateRevision: a, currentRevision: a}"),

    Case("unseen", DS, "Progressing: the last", OLD + "status: {observedGeneration: 1}"),
    Case("on delete", DS, "Healthy", "spec: {updateStrategy: {type: OnDelete}}, "
         "status: {desiredNumberScheduled: 3, updatedNumberScheduled: 1}"),
    Case("updating", DS, "Progressing: 1 of 3 Pods are updated",
         "status: {desiredNumberScheduled: 3, updatedNumberScheduled: 1}"),
    Case("not available", DS, "Progressing: 2 of 3 Pods are available",
         "status: {desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}"),
    Case("healthy", DS, "Healthy",
         "status: {desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}"),

    Case("err", P, "Degraded: no such image", STUCK + "ErrImagePull, message: no such image}}}]}"),
    Case("back off", P, "Degraded: CrashLoopBackOff", STUCK + "CrashLoopBackOff}}}]}"),
    Case("error", P, "Degraded: a, b", "status: {phase: Pending, containerStatuses: "
         "[{state: {waiting: {reason: XError, message: a}}}, "
         "{state: {waiting: {reason: YError, message: b}}}]}"),
    Case("not for ever", P, "Progressing",
         "spec: {restartPolicy: Never}, " + STUCK + "ErrImagePull}}}]}"),
    Case("by annotation", P, "Degraded: ErrImagePull",
         HANDS + "}}, spec: {restartPolicy: Never}, " + STUCK + "ErrImagePull}}}]}"),
    Case("hook", P, "Progressing", HANDS + ", helm.sh/hook: x}}, spec: {restartPolicy: Never}, "
         + STUCK + "ErrImagePull}}}]}"),
    Case("creating", P, "Progressing", STUCK + "ContainerCreating}}}]}"),
    Case("init waits", P, "Progressing",
         "status: {phase: Pending, initContainerStatuses: [{state: {waiting: {reason: ErrX}}}]}"),
    Case("succeeded", P, "Healthy: done", "status: {phase: Succeeded, message: done}"),
    Case("failed", P, "Degraded: evicted", "status: {phase: Failed, message: evicted}"),
    Case("failed init", P, "Degraded: bad flag", "status: {phase: Failed, initContainerStatuses: "
         "[{state: {terminated: {message: bad flag, exitCode: 2}}}]}"),
    Case("no memory", P, "Degraded: OOMKilled", "status: {phase: Failed, containerStatuses: "
         "[{state: {terminated: {reason: OOMKilled, exitCode: 137}}}]}"),
    Case("code", P, "Degraded: the container c ended with code 3", "status: {phase: Failed, "
         "containerStatuses: [{state: {terminated: {exitCode: 0}}}, "
         "{name: c, state: {terminated: {exitCode: 3}}}]}"),
    Case("ready", P, "Healthy",
         "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}"),
    Case("restarted", P, "Degraded: the container c ended before: Error with code 1",
         "status: {phase: Running, containerStatuses: "
         "[{name: c, lastState: {terminated: {reason: Error, exitCode: 1}}}]}"),
    Case("starting", P, "Progressing", "status: {phase: Running, containerStatuses: [{}]}"),
    Case("running once", P, "Progressing", "spec: {restartPolicy: OnFailure}, status: "
         "{phase: Running, conditions: [{type: Ready, status: 'True'}]}"),
    Case("no phase", P, "Unknown", "status: {}"),

    *(Case(phase, "v1 PersistentVolumeClaim", wanted, f"status: {{phase: {phase}}}")
      for phase, wanted in {"Lost": "Degraded", "Pending": "Progressing", "Bound": "Healthy",
                            "Odd": "Unknown"}.items()),
    Case("no address", "v1 Service", "Progressing", "spec: {type: LoadBalancer}, status: {}"),
    Case("address", "v1 Service", "Healthy",
         "spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}"),
    Case("cluster", "v1 Service", "Healthy", "spec: {type: ClusterIP}"),
    Case("no address", "networking.k8s.io/v1 Ingress", "Progressing", "status: {loadBalancer: {}}"),
    Case("address", "extensions/v1beta1 Ingress", "Healthy",
         "status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}"),

    Case("failed", J, "Degraded: no more tries", "status: {conditions: "
         "[{type: Complete, status: 'True'}, {type: Failed, status: 'False', "
         "message: no more tries}]}"),
    Case("suspended", J, "Suspended", "status: {conditions: [{type: Suspended, status: 'True'}]}"),
    Case("resumed", J, "Healthy", "status: {conditions: [{type: Suspended, status: 'False'}]}"),
    Case("complete", J, "Healthy", "status: {conditions: [{type: Complete, status: 'True'}]}"),
    Case("running", J, "Progressing", "status: {active: 1}"),

    Case("no status", C, "Progressing", ""),
    Case("suspended", C, "Healthy: the CronJob is suspended", "spec: {suspend: true}"),
    Case("never due", C, "Healthy", "status: {}"),
    Case("never done", C, "Healthy: no run", "status: {lastScheduleTime: '2026-01-02T00:00:00Z'}"),
    Case("under way", C, "Healthy: a run", "status: {lastScheduleTime: '2026-01-02T00:00:00Z', "
         "lastSuccessfulTime: '2026-01-01T00:00:00Z', active: [{}]}"),
    Case("missed", C, "Degraded", "status: {lastScheduleTime: '2026-01-02T00:00:00Z', "
         "lastSuccessfulTime: '2026-01-01T00:00:00Z'}"),
    Case("done", C, "Healthy: the last", "status: {lastScheduleTime: '2026-01-02T00:00:00Z', "
         "lastSuccessfulTime: '2026-01-02T00:00:09Z'}"),

    Case("no metric", H2, "Degraded: none", "status: {conditions: "
         "[{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'False', "
         "reason: FailedGetResourceMetric, message: none}]}"),
    Case("able", H2, "Healthy: ok",
         "status: {conditions: [{type: AbleToScale, status: 'True', message: ok}]}"),
    Case("waits", H2, "Progressing", "status: {}"),
    Case("of v1", H1, "Degraded: no scale",
         "metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: "
         '\'[{"type": "AbleToScale", "reason": "FailedGetScale", "message": "no scale"}]\'}}'),
    Case("of v1 waits", H1, "Progressing",
         "status: {conditions: [{type: AbleToScale, status: 'True'}]}"),
    Case("available", "apiregistration.k8s.io/v1 APIService", "Healthy",
         "status: {conditions: [{type: Available, status: 'True'}]}"),
    Case("away", "apiregistration.k8s.io/v1 APIService", "Progressing: gone",
         "status: {conditions: [{type: Available, status: 'False', message: gone}]}"),
    *(Case(phase or "none", W, wanted, f"status: {{phase: '{phase}'}}")
      for phase, wanted in {"": "Progressing", "Pending": "Progressing", "Running": "Progressing",
                            "Succeeded": "Healthy", "Failed": "Degraded", "Error": "Degraded",
                            "Odd": "Unknown"}.items()),
    Case("deleted", D, "Progressing: Pending deletion",
         "metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}"),
    Case("deleted as a hook", J, "Healthy", "metadata: {deletionTimestamp: '2026-01-01T00:00:00Z', "
         "finalizers: [argocd.argoproj.io/hook-finalizer]}, "
         "status: {conditions: [{type: Complete, status: 'True'}]}"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kinds_of_kubernetes(case: Case) -> None:
    found = RULES.check(read(case))

    assert matches(found, case.status), found


X = "example.com/v1 Thing"
READY = "status: {{conditions: [{{type: {}, status: '{}', reason: {}, message: m}}]}}"
GENERIC_CASES = [
    Case("no status", X, "Unknown: it has no status yet", ""),
    Case("no status", "snapshot.storage.k8s.io/v1 VolumeSnapshot", "Unknown: it has no", ""),
    Case("behind", X, "Progressing: the last change",
         OLD + "status: {observedGeneration: 1, phase: Ready}"),
    Case("own word", X, "Suspended: nap",
         "status: {health: {status: Suspended, message: nap}, phase: Failed}"),
    Case("other word", X, "Healthy", "status: {health: {status: fine}, phase: Ready}"),
    Case("stalled", X, "Degraded: m", "status: {conditions: [{type: Ready, status: 'True'}, "
         "{type: Stalled, status: 'True', message: m}]}"),
    Case("reconciling", X, "Progressing: Reconciling is True", "status: {conditions: "
         "[{type: Ready, status: 'True'}, {type: Reconciling, status: 'True'}]}"),
    *(Case(f"{name} True", X, "Healthy: m", READY.format(name, "True", "R"))
      for name in ("Ready", "Available", "Healthy", "Succeeded", "Established", "Synced")),
    Case("not ready", X, "Degraded: m", READY.format("Ready", "False", "Broken")),
    Case("not ready yet", X, "Progressing: m", READY.format("Ready", "False", "StillCreating")),
    Case("not known", X, "Progressing: m", READY.format("Ready", "Unknown", "R")),
    Case("order", X, "Degraded: m", "status: {conditions: [{type: Synced, status: 'True'}, "
         "{type: Ready, status: 'False', message: m}]}"),
    Case("of old", X, "Healthy", OLD + "status: {phase: Ready, conditions: "
         "[{type: Ready, status: 'False', observedGeneration: 1}]}"),
    *(Case(phase, X, wanted, f"status: {{phase: {phase}}}")
      for wanted, phases in {
          "Healthy": ("Running", "Bound", "Active", "Ready", "Succeeded", "Completed"),
          "Progressing": ("Pending", "Creating", "Progressing", "Terminating"),
          "Degraded": ("Failed", "Error", "Lost"), "Suspended": ("Suspended", "Paused"),
      }.items() for phase in phases),
    Case("application", "argoproj.io/v1alpha1 Application", "Missing: gone",
         "status: {health: {status: Missing, message: gone}}"),
    Case("application", "argoproj.io/v1alpha1 Application", "Unknown", ""),
    Case("namespace", "v1 Namespace", "Healthy", "status: {phase: Active}"),
]  # fmt: skip


@pytest.mark.parametrize("case", GENERIC_CASES, ids=str)
def test_generic_rule(case: Case) -> None:
    found = GENERIC.check(read(case))

    assert matches(found, case.status), found
    assert RULES.check(read(case)) is None


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        ("v1 ConfigMap", ""),
        ("rbac.authorization.k8s.io/v1 Role", ""),
        (X, "status: {}"),
        (X, "status: {phase: Odd, conditions: [{type: Odd, status: 'True'}]}"),
        (X, "status: text"),
    ],
)
def test_what_tells_nothing_has_no_health(kind: str, obj: str) -> None:
    assert GENERIC.check(read(Case("", kind, "", obj))) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["True", "Ready", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "conditions",
                        "type",
                        "status",
                        "phase",
                        "health",
                        "message",
                        "replicas",
                        "reason",
                    )
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
KINDS = sorted({case.kind for case in CASES} | {X, "argoproj.io/v1alpha1 Rollout"})


@given(st.sampled_from(KINDS), ANY, ANY, ANY)
def test_no_object_breaks_a_rule(kind: str, metadata: Any, spec: Any, status: Any) -> None:
    api_version, name = kind.split(" ")
    obj = {"apiVersion": api_version, "kind": name, "spec": spec, "status": status}
    obj["metadata"] = metadata if isinstance(metadata, dict) else {}
    found = GENERIC.check(obj)
    assert found is None or found.status in STATUSES
    assert found is None or isinstance(found.message, str)
