"""What who may write an object tries to make of its pods, and of the controller that makes them."""

import asyncio
import base64
import json

import msgspec
import pytest

from controller.admission import worker
from controller.admission.checker import Checker
from controller.admission.worker import Asked
from controller.bus.install import install
from controller.bus.versions import Settings
from controller.workload import Options, desired
from controller.workload.checking import look
from controller.workload.durables import Durables, First
from controller.workload.limits import WORDS, Allowed, bus_refusals, refusals
from eventbus.spec import EventBusSpec, JetStream
from spine.errors import ConfigError, RemoteError
from spine.kube import credentials
from spine.lang.guard import Guard
from spine.lang.limits import Limits
from spine.model import load
from spine.pod import PodTemplate
from spine.secrets import SecretRef

BUS = {"jetstream": {"url": "nats://bus:4222"}}


def template(**fields) -> PodTemplate:
    return load(PodTemplate, fields, what="template", lenient=True)


def container(**fields) -> PodTemplate:
    return template(container=fields)


def sensor(**spec):
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": "s", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {
            "dependencies": [{"name": "d", "eventSourceName": "h", "eventName": "e"}],
            "triggers": [{"template": {"name": "t", "log": {}}}],
            **spec,
        },
    }


def pod_of(**spec):
    """Return what a Sensor's Deployment runs."""
    looked = look(sensor(**spec))
    assert not looked.errors
    made = desired(looked.checked, BUS, Options(image="tocsin:1"))
    found = next(one for one in made if one["kind"] == "Deployment")
    return found["spec"]["template"]["spec"]


# ---------------------------------------------------------------------------- escalation

ATTACKS = [
    ("privileges", container(securityContext={"privileged": True})),
    ("privileges", container(securityContext={"allowPrivilegeEscalation": True})),
    ("privileges", container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})),
    ("privileges", container(securityContext={"runAsUser": 0})),
    ("privileges", container(securityContext={"procMount": "Unmasked"})),
    ("privileges", container(securityContext={"seccompProfile": {"type": "Unconfined"}})),
    ("privileges", container(securityContext={"appArmorProfile": {"type": "Unconfined"}})),
    ("privileges", container(securityContext={"seLinuxOptions": {"type": "spc_t"}})),
    ("privileges", container(securityContext={"windowsOptions": {"hostProcess": True}})),
    ("privileges", template(securityContext={"runAsNonRoot": False})),
    ("privileges", template(securityContext={"sysctls": [{"name": "kernel.msgmax"}]})),
    (
        "privileges",
        template(
            metadata={
                "annotations": {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"}
            }
        ),
    ),
    ("volumes", template(volumes=[{"name": "host", "hostPath": {"path": "/"}}])),
    ("volumes", template(volumes=[{"name": "n", "nfs": {"server": "h", "path": "/"}}])),
    ("env", container(env=[{"name": "PYTHONPATH", "value": "/data"}])),
    ("env", container(env=[{"name": "LD_PRELOAD", "value": "/data/x.so"}])),
    ("env", container(env=[{"name": "PATH", "value": "/data"}])),
    ("env", container(env=[{"name": "OPENSSL_CONF", "value": "/data/x"}])),
    ("env", container(env=[{"name": "TOCSIN_EGRESS", "value": ""}])),
    ("env", container(env=[{"name": "TOCSIN_EGRESS_ADDRESSES", "value": "169.254.169.254"}])),
    ("env", container(env=[{"name": "TOCSIN_PROGRAM_SECONDS", "value": "3600"}])),
    (
        "keys",
        template(volumes=[{"name": "k", "secret": {"secretName": "eventbus-default-js-server"}}]),
    ),
    (
        "keys",
        template(
            volumes=[
                {
                    "name": "k",
                    "projected": {"sources": [{"secret": {"name": "eventbus-default-js-root"}}]},
                }
            ]
        ),
    ),
    ("keys", container(envFrom=[{"secretRef": {"name": "eventbus-default-js-server"}}])),
    (
        "keys",
        container(
            env=[
                {
                    "name": "K",
                    "valueFrom": {
                        "secretKeyRef": {"name": "eventbus-default-js-server", "key": "auth"}
                    },
                }
            ]
        ),
    ),
    *(
        ("mounts", container(volumeMounts=[{"name": "v", "mountPath": path}]))
        for path in (
            "/",
            "/usr",
            "/usr/lib/python3.11",
            "/usr/bin/python3.11",
            "/opt",
            "/opt/tocsin/lib/x",
            "//opt/tocsin",
            "/data/../opt/tocsin",
            "/etc",
            "/etc/tocsin",
            "/etc/ld.so.preload",
            "/lib64",
            "/proc/sys",
            "opt/tocsin/bin",
        )
    ),
]


@pytest.mark.parametrize(("word", "attack"), ATTACKS)
def test_template_that_escalates_is_refused(word: str, attack: PodTemplate) -> None:
    found = refusals(attack, "ns", Allowed())
    assert found
    assert all(f"--allow-template {word})" in one for one in found), found


@pytest.mark.parametrize(("word", "attack"), ATTACKS)
def test_administrator_may_allow_it(word: str, attack: PodTemplate) -> None:
    assert refusals(attack, "ns", Allowed(frozenset({word}))) == []
    assert refusals(attack, "ns", Allowed(frozenset(WORDS) - {word}))


def asked(kind: str, spec: dict, namespace: str = "ns") -> Asked:
    """Return what the API server asks of an object."""
    made = {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "bold"}}
    return Asked(kind, "bold", namespace, msgspec.Raw(json.dumps({**made, "spec": spec}).encode()))


def asked_sensor(**fields) -> Asked:
    dependency = {"name": "d", "eventSourceName": "hook", "eventName": "orders"}
    log = {"template": {"name": "t", "log": {}}}
    return asked("Sensor", {"dependencies": [dependency], "triggers": [log], "template": fields})


@pytest.mark.parametrize(("word", "attack"), ATTACKS)
def test_template_that_escalates_is_not_admitted(word: str, attack: PodTemplate) -> None:
    one = asked_sensor(**attack.model_dump(by_alias=True, exclude_unset=True))
    said = [error.message for error in worker.look(one).errors]
    assert said == refusals(attack, "ns", Allowed())
    assert worker.look(one, Allowed(frozenset({word}))).errors == []


def test_event_bus_that_escalates_is_not_admitted() -> None:
    raw = {"version": "latest", "securityContext": {"runAsUser": 0}}
    (error,) = worker.look(asked("EventBus", {"jetstream": raw})).errors
    assert error.text.startswith("spec: securityContext.runAsUser: 0 leaves the restricted")


async def test_admission_knows_what_the_administrator_allows() -> None:
    allowed = Allowed(frozenset({"privileges"}), ("sensor-*",), "ns/sensor-own")
    async with Checker(patience=60.0, allowed=allowed) as checker:
        privileged = {"container": {"securityContext": {"privileged": True}}}
        assert (
            await checker.check(asked_sensor(**privileged, serviceAccountName="sensor-a"))
        ).errors == []
        own = await checker.check(asked_sensor(serviceAccountName="sensor-own"))
        other = await checker.check(asked_sensor(serviceAccountName="default"))
    assert "is the controller's own account" in own.errors[0].message
    assert "is not allowed (the controller's --template-account" in other.errors[0].message


@pytest.mark.parametrize(
    "usual",
    [
        PodTemplate(),
        container(securityContext={"runAsUser": 1000, "readOnlyRootFilesystem": False}),
        container(
            securityContext={"capabilities": {"drop": ["NET_RAW"], "add": ["NET_BIND_SERVICE"]}}
        ),
        container(
            env=[
                {"name": "HTTPS_PROXY", "value": "http://p"},
                {"name": "TOCSIN_DECISIONS", "value": "all"},
            ]
        ),
        container(volumeMounts=[{"name": "v", "mountPath": "/data"}]),
        container(volumeMounts=[{"name": "v", "mountPath": "/etc/ssl/certs"}]),
        container(volumeMounts=[{"name": "v", "mountPath": "/argo-events/secrets/mine"}]),
        template(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
        template(
            volumes=[{"name": "s", "secret": {"secretName": "eventbus-default-js-client-auth"}}]
        ),
        template(serviceAccountName="operate-workflows"),
    ],
)
def test_usual_template_is_taken(usual: PodTemplate) -> None:
    assert refusals(usual, "ns", Allowed()) == []


@pytest.mark.parametrize(
    "field", ["command", "args", "image", "lifecycle", "livenessProbe", "ports", "name", "stdin"]
)
def test_program_cannot_be_replaced(field: str) -> None:
    """As in the advisory on Argo Events, GHSA-hmp7-x699-cvhq."""
    made = pod_of(template={"container": {field: ["/bin/sh", "-c", "id"]}})
    assert made == pod_of()


@pytest.mark.parametrize(
    "field",
    [
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "initContainers",
        "containers",
        "runtimeClassName",
        "automountServiceAccountToken",
        "hostUsers",
        "shareProcessNamespace",
        "nodeName",
    ],
)
def test_pod_has_no_other_fields(field: str) -> None:
    assert pod_of(template={field: True}) == pod_of()


def test_settings_that_are_nothing_undo_nothing() -> None:
    null = dict.fromkeys(("allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"))
    made = pod_of(
        template={
            "securityContext": {"runAsNonRoot": None, "seccompProfile": None},
            "container": {"securityContext": null},
        }
    )
    assert made == pod_of()


def test_capabilities_are_dropped_in_any_case() -> None:
    for said in ({}, {"drop": []}, {"drop": ["NET_RAW"]}, {"add": ["NET_BIND_SERVICE"]}):
        made = pod_of(template={"container": {"securityContext": {"capabilities": said}}})
        found = made["containers"][0]["securityContext"]["capabilities"]
        assert found["drop"] == ["ALL"]


def test_default_pod_is_restricted() -> None:
    made = pod_of()
    assert made["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert made["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert made["automountServiceAccountToken"] is False


def test_variables_that_nobody_sees_choose_nothing() -> None:
    """`envFrom` may bring any name; what stands in `env` is stronger."""
    made = pod_of(template={"container": {"envFrom": [{"configMapRef": {"name": "c"}}]}})
    env = {one["name"]: one.get("value") for one in made["containers"][0]["env"]}
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH", "PYTHONHOME"):
        assert env[name] == ""
    assert env["TOCSIN_EGRESS_ADDRESSES"] == ""
    assert "LD_PRELOAD" not in {one["name"] for one in pod_of()["containers"][0]["env"]}


async def test_no_code_is_loaded_from_where_a_template_may_mount(tmp_path, monkeypatch) -> None:
    """A worker for programs is started in the folder of the process, which is one like that."""
    (tmp_path / "asyncio.py").write_text(f"open({str(tmp_path / 'taken')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    async with Guard("spine.lang.jq.worker:none", b"", Limits(workers=1), tries=1) as guard:
        with pytest.raises(RemoteError):
            await guard.call(b"")
    assert not (tmp_path / "taken").exists()


# ---------------------------------------------------------------------------- accounts


def test_no_template_names_the_account_of_the_controller() -> None:
    own = Allowed(frozenset(WORDS), own="tocsin/tocsin-controller")
    stolen = template(serviceAccountName="tocsin-controller")
    assert "the controller's own account" in refusals(stolen, "tocsin", own)[0]
    assert refusals(stolen, "elsewhere", own) == []
    bus = load(JetStream, {"version": "latest", "serviceAccountName": "tocsin-controller"})
    assert "the controller's own account" in bus_refusals(bus, "tocsin", own)[0]


def test_own_account_is_read_off_the_token(tmp_path, monkeypatch) -> None:
    claims = json.dumps({"sub": "system:serviceaccount:tocsin:tocsin-controller"}).encode()
    token = b".".join([b"x", base64.urlsafe_b64encode(claims).rstrip(b"="), b"y"])
    (tmp_path / "token").write_bytes(token)
    monkeypatch.setattr(credentials, "ACCOUNT", tmp_path)
    assert credentials.own_account() == "tocsin/tocsin-controller"
    (tmp_path / "token").write_text("garbage")
    assert credentials.own_account() == ""


def test_accounts_may_be_those_of_a_list_only() -> None:
    some = Allowed(accounts=("sensor-*", "ns/one"))
    for name, good in (("sensor-a", True), ("one", True), ("admin", False), ("", True)):
        assert (refusals(template(serviceAccountName=name), "ns", some) == []) is good
    assert refusals(template(serviceAccountName="one"), "other", some)


# ---------------------------------------------------------------------------- the bus


@pytest.mark.parametrize(
    "field", ["containerTemplate", "reloaderContainerTemplate", "metricsContainerTemplate"]
)
def test_event_bus_that_escalates_is_refused(field: str) -> None:
    raw = {"version": "latest", field: {"securityContext": {"privileged": True}}}
    found = bus_refusals(load(JetStream, raw), "ns", Allowed())
    assert f"{field}.securityContext.privileged: True leaves the restricted" in "".join(found)
    assert bus_refusals(load(JetStream, {"version": "latest"}), "ns", Allowed()) == []
    install(load(EventBusSpec, {"jetstream": {"version": "latest"}}), Settings())


@pytest.mark.parametrize("field", ["tokenFile", "credsFile", "nkeyFile"])
async def test_controller_shows_no_file_of_its_own_to_a_bus(field: str, tmp_path) -> None:
    """An EventBus that exists elsewhere, whose credential is the controller's token."""
    token = tmp_path / "token"
    token.write_text("the token of the controller")
    heard: list[bytes] = []

    async def listen(reader, writer):
        writer.write(
            b'INFO {"server_id":"x","version":"2.12.0","max_payload":1000,"jetstream":true}\r\n'
        )
        heard.append(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bus = {"jetstream": {"url": f"nats://127.0.0.1:{port}", field: str(token)}}
    first = First(look(sensor()).checked, 1)
    why = await Durables().prepare(None, bus, [first])
    server.close()
    await server.wait_closed()
    assert "it is a file of the pods, not of the controller" in why
    assert heard == []


@pytest.mark.parametrize("url", ["nats://169.254.169.254:80", "ws://a:1,ws://[fd00:ec2::254]"])
async def test_controller_connects_to_no_metadata(url: str) -> None:
    why = await Durables().prepare(
        None, {"jetstream": {"url": url}}, [First(look(sensor()).checked, 1)]
    )
    assert "never fetched from" in why


async def test_controller_takes_no_keys_of_another_bus() -> None:
    secret = {"name": "eventbus-other-js-server", "key": "auth"}
    bus = {"jetstream": {"url": "nats://127.0.0.1:1", "accessSecret": secret}}
    why = await Durables().prepare(None, bus, [First(look(sensor()).checked, 1)])
    assert "it is for its servers only" in why


def test_account_that_is_made_has_rights_in_its_namespace_only() -> None:
    from controller.roles import Named
    from controller.workload import Known

    checked = look(sensor()).checked
    options = Options(image="i", make_service_accounts=True)
    made = desired(checked, BUS, options, Known(rights=[Named("ns", "", "configmaps", "get")]))
    kinds = {one["kind"] for one in made}
    assert {"ServiceAccount", "Role", "RoleBinding"} <= kinds
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds
    assert {one["metadata"]["namespace"] for one in made} == {"ns"}


# ---------------------------------------------------------------------------- other namespaces


@pytest.mark.parametrize("name", ["other/default", "default.other", "../other", ""])
def test_bus_of_another_namespace_cannot_be_named(name: str) -> None:
    assert look(sensor(eventBusName=name)).checked.bus[0] == "ns"


def test_secret_of_another_namespace_cannot_be_named() -> None:
    with pytest.raises(ConfigError, match="namespace"):
        load(SecretRef, {"name": "s", "key": "k", "namespace": "other"}, what="secret")
    elsewhere = {"name": "s", "key": "k", "namespace": "other"}
    ref = load(SecretRef, elsewhere, what="secret", lenient=True)
    assert ref == SecretRef(name="s", key="k")
