"""Templates: texts and blocks, how several become one message, and secrets in them."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier import veil
from notifier.template_reads import of_template
from notifier.templates import Template, compile_template, conceal, render, reveal
from notifier.variables import variables
from services.catalogue import SERVICES
from services.service import Block, Message, Service
from services.webhook import Webhook
from spine.errors import ConfigError
from spine.lang import EvaluationError, gotemplate
from spine.model import Model


class Part(Model):
    title: str = ""
    value: str = ""


class ChatBlock(Block):
    defaults: ClassVar[dict[str, str]] = {
        "link": "{{ .app.spec.url }}",
        "icon": ":{{ .serviceType }}:",
    }

    username: str = ""
    attachments: str = ""
    blocks: str | list[Any] = ""
    icon: str = ""
    link: str = ""
    loud: bool = False
    parts: list[Part] = []
    labels: dict[str, str] = {}


class ModestBlock(Block):
    together: ClassVar[bool] = False

    subject: str = ""
    body: str = ""


class Chat(Webhook):
    kind: ClassVar[str] = "chat"
    block: ClassVar[type[Block] | None] = ChatBlock
    block_by_name: ClassVar[bool] = False


class Modest(Chat):
    kind: ClassVar[str] = "modest"
    block: ClassVar[type[Block] | None] = ModestBlock


@pytest.fixture(autouse=True)
def _services(monkeypatch):
    monkeypatch.setitem(SERVICES, "chat", Chat)
    monkeypatch.setitem(SERVICES, "modest", Modest)


POD = {
    "kind": "Pod",
    "metadata": {"name": 'we"b', "annotations": {"note": "a\nb"}},
    "status": {"conditions": [{"type": "Ready"}, {"type": "Live"}]},
}
SECRETS = {"token": 's3"cr\\et', "user": "m-e", "dotted.key": "d-o-t"}


def known(*, alias: str = "pod", secrets: dict[str, str] | None = SECRETS, **extra) -> dict:
    given = {"recipient": "dev", **({} if secrets is None else {"secrets": secrets}), **extra}
    return variables(POD, alias=alias, context={"book": "https://b"}, extra=given)


def rendered(
    *raw: dict[str, Any],
    service: type[Service] = Chat,
    name: str = "room",
    values: dict[str, Any] | None = None,
) -> Message:
    made = [compile_template(f"t{at}", one) for at, one in enumerate(raw)]
    return render(made, name, service, known() if values is None else values)


def text(source: str, values: dict[str, Any] | None = None) -> str:
    return rendered({"message": source}, values=values).text


# ---------------------------------------------------------------------------- texts


@dataclass(frozen=True)
class Case:
    source: str
    wanted: str

    def __str__(self) -> str:
        return self.source


TEXTS = [
    Case("plain", "plain"),
    Case("{{ .obj.kind }} {{ .pod.kind }}", "Pod Pod"),
    Case("{{ .serviceType }}/{{ .recipient }}", "room/dev"),
    Case("{{ .context.book }} {{ .context.notificationType }}", "https://b room"),
    Case("{{ .context.none }}{{ .obj.spec.none }}", "<no value><no value>"),
    Case('{{ (call .time.Parse "2024-01-02T03:04:05Z").Format "2006" }}', "2024"),
    Case(
        '{{ (call .time.Parse "2024-01-02T03:04:05Z").Add .time.Hour | toString | trunc 13 }}',
        "2024-01-02 04",
    ),
    Case("{{ call .strings.ToUpper .obj.kind }}", "POD"),
    Case('{{ call .strings.ReplaceAll .obj.kind "P" "p" }}', "pod"),
    Case('{{ call .repo.FullNameByRepoURL "git@github.com:a/b.git" }}', "a/b"),
    Case("{{ (call .repo.GetCommitMetadata .obj.none).Message }}", ""),
    Case("{{ if .resolved }}over{{ else }}now{{ end }}", "now"),
    Case('{{ .health.status | default "none" }}', "none"),
    Case("{{ gt (call .time.Now).Unix 1000 }}", "true"),
]


@pytest.mark.parametrize("case", TEXTS, ids=str)
def test_texts(case: Case) -> None:
    assert text(case.source) == case.wanted


def test_a_message_says_what_it_is() -> None:
    made = rendered({"message": "a"}, {"message": "b"}, values=known(resolved=True))

    assert (made.text, made.template, made.resolved) == ("b", "t0", True)


@pytest.mark.parametrize(
    ("written", "wanted"), [(5, "5"), (True, "true"), (None, ""), (1.5, "1.5")]
)
def test_a_scalar_is_a_text(written: Any, wanted: str) -> None:
    assert rendered({"Message": written}).text == wanted


# ---------------------------------------------------------------------------- blocks


def test_only_the_block_of_the_service_is_rendered() -> None:
    raw = {
        "message": "m",
        "chat": {"username": "{{ .pod.kind }}"},
        "modest": {"body": "{{ .pod.kind.x }}"},
    }

    assert rendered(raw).block["username"] == "Pod"
    with pytest.raises(
        EvaluationError, match=r"rendering template 't0': modest\.body, line 1, col"
    ):
        rendered(raw, service=Modest)


def test_the_block_of_a_webhook_is_that_of_its_name() -> None:
    raw = {
        "webhook": {"audit": {"method": "PUT", "body": "{{ .recipient }}"}, "other": {"body": "o"}}
    }

    assert rendered(raw, service=Webhook, name="audit").block == {"method": "PUT", "body": "dev"}
    assert rendered(raw, service=Webhook, name="none").block == {}


def test_keys_get_their_spelling_and_scalars_become_texts() -> None:
    raw = {
        "CHAT": {
            "UserName": 5,
            "attachments": True,
            "loud": True,
            "parts": [{"Title": 1, "value": "{{ .recipient }}"}],
            "labels": {"n": 3, "k": "{{ .pod.kind }}"},
        }
    }

    assert {**rendered(raw).block, "icon": ""} == {
        "username": "5",
        "attachments": "true",
        "loud": True,
        "parts": [{"title": "1", "value": "dev"}],
        "labels": {"n": "3", "k": "Pod"},
        "icon": "",
    }


def test_a_structure_becomes_json_where_a_text_is_wanted() -> None:
    structure = [
        {
            "title": "{{ .pod.metadata.name }}",
            "n": 1,
            "deep": {"a": ["{{ .pod.metadata.annotations.note }}"]},
        }
    ]

    block = rendered({"chat": {"attachments": structure, "blocks": structure}}).block

    wanted = [{"title": 'we"b', "n": 1, "deep": {"a": ["a\nb"]}}]
    assert json.loads(block["attachments"]) == wanted
    assert block["blocks"] == wanted


@dataclass(frozen=True)
class Merge:
    name: str
    service: type[Service]
    raw: tuple[dict[str, Any], ...]
    text: str
    block: dict[str, Any]

    def __str__(self) -> str:
        return self.name


PLAIN = {"icon": ":room:"}
MERGES = [
    Merge("later text", Chat, ({"message": "a"}, {"message": "b"}), "b", {}),
    Merge(
        "empty text keeps",
        Chat,
        ({"message": "a"}, {"message": "{{ with .x }}y{{ end }}"}),
        "a",
        {},
    ),
    Merge(
        "a later block replaces all",
        Chat,
        ({"chat": {"username": "u", "attachments": "x"}}, {"chat": {"attachments": "y"}}),
        "",
        {"attachments": "y", **PLAIN},
    ),
    Merge(
        "no later block keeps",
        Chat,
        ({"chat": {"username": "u"}}, {"message": "m"}),
        "m",
        {"username": "u", **PLAIN},
    ),
    Merge(
        "field by field",
        Modest,
        ({"modest": {"subject": "s", "body": "b"}}, {"modest": {"subject": "", "body": "c"}}),
        "",
        {"subject": "s", "body": "c"},
    ),
    Merge(
        "webhooks by name",
        Webhook,
        (
            {"webhook": {"room": {"method": "PUT", "body": "a"}}},
            {"webhook": {"room": {"path": "/x"}, "b": {}}},
        ),
        "",
        {"path": "/x"},
    ),
]


@pytest.mark.parametrize("case", MERGES, ids=str)
def test_several_templates_become_one_message(case: Merge) -> None:
    made = rendered(*case.raw, service=case.service)

    assert (made.text, made.block) == (case.text, case.block)


def test_defaults_stand_for_what_is_not_written_where_their_variable_is_there() -> None:
    raw = {"chat": {"username": "u"}}
    app = {**known(alias="pod"), "app": {"spec": {"url": "https://x"}}}

    assert "link" not in rendered(raw).block
    assert rendered(raw, values=app).block["link"] == "https://x"
    assert rendered({"chat": {"link": "mine"}}, values=app).block["link"] == "mine"
    assert rendered({"message": "m"}, values=app).block == {}


WRONG = [
    ({"message": "{{ .x"}, "compiling template 't': message: "),
    ({"message": "a\n{{ nosuch .x }}"}, "line 2, column 4"),
    ({"message": "{{ uper .x }}"}, "did you mean upper?"),
    ({"message": '{{ env "HOME" }}'}, "a template does not see the host"),
    ({"message": {"a": 1}}, "put a text that begins with {{ into quotes"),
    ({"chat": "x"}, "chat: it is a mapping, not a text"),
    ({"chat": {"username": "{{ end }}"}}, "chat.username: "),
    ({"chat": {"parts": [{"value": "{{ end }}"}]}}, "chat.parts[0].value: "),
    ({"chat": {"blocks": [{"a": "{{ end }}"}]}}, "chat.blocks[0].a: "),
    ({"chat": {"loud": "{{ .x }}"}}, "chat: loud: "),
    ({"webhook": "x"}, "webhook: it has a mapping for each name of a service"),
    ({"webhook": {"a": "x"}}, "webhook.a: it is a mapping"),
    ("x", "it is no mapping"),
]


@pytest.mark.parametrize(("raw", "says"), WRONG, ids=str)
def test_what_is_wrong_is_said_when_it_is_loaded(raw: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_template("t", raw)

    assert says in str(caught.value)


DOUBTFUL = [
    ({"chatt": {}}, "chatt: ignored: no service is called that (did you mean chat?)"),
    ({"chat": {"usrname": "x"}}, "chat.usrname: unknown field ignored (did you mean username?)"),
    ({"chat": {"parts": [{"tite": "x"}]}}, "chat.parts[0].tite: unknown field ignored"),
]


@pytest.mark.parametrize(("raw", "says"), DOUBTFUL, ids=str)
def test_what_nobody_knows_is_a_warning(raw: Any, says: str) -> None:
    (found,) = compile_template("t", raw).warnings

    assert says in found


ERRORS = [
    ("a\n{{ .pod.kind.x }}", "message, line 2, column 4: can't evaluate field x in type string"),
    ("{{ .pod.none | upper }}", "message, line 1, column 16: calling upper: "),
    ("{{ range .pod.kind }}{{ end }}", "line 1, column 4: range can't iterate over"),
    ("{{ if lt .pod.none 1 }}{{ end }}", "line 1, column 7: calling lt"),
    ('{{ fail "no" }}', "line 1, column 4: calling fail: no"),
]


@pytest.mark.parametrize(("source", "says"), ERRORS, ids=str)
def test_an_error_says_template_field_and_line(source: str, says: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        text(source)

    assert str(caught.value).startswith("rendering template 't0': message, ")
    assert says in str(caught.value)


def test_one_object_leaves_no_trace_in_the_next() -> None:
    source = '{{ $_ := set .pod.metadata "seen" "yes" }}{{ .pod.metadata.seen }}'
    made = [compile_template("t", {"message": source})]
    values = known()

    assert render(made, "room", Chat, values).text == "yes"
    assert "seen" not in POD["metadata"]


# ---------------------------------------------------------------------------- what it reads

READS = [
    ("plain", set()),
    ("{{ .pod.status.phase }}", {"status.phase"}),
    ("{{ range .pod.status.conditions }}{{ .type }}{{ end }}", {"status.conditions.*.type"}),
    ("{{ range $i, $c := .pod.list }}{{ $c.x }}{{ $i }}{{ end }}", {"list.*.x"}),
    ("{{ range .pod.list }}x{{ end }}", {"list"}),
    ("{{ with .pod.status }}{{ .x }}{{ end }}", {"status"}),
    ("{{ $x := .pod.spec }}{{ $x.a }}{{ $.obj.b }}", {"spec.a", "b"}),
    ('{{ index .pod.metadata.labels "a/b" }}', {"metadata.labels.a/b"}),
    ("{{ (index .pod.list 0).x }}", {"list.*.x"}),
    ("{{ (default .pod.b .pod.a).c }}", {"a.c", "b.c"}),
    ("{{ .pod.a | toJson }}", {"a"}),
    ('{{ define "d" }}{{ .x }}{{ end }}{{ template "d" .pod.a }}', {"a.x"}),
    (
        '{{ define "d" }}{{ template "d" .x }}{{ end }}{{ template "d" .pod.a }}',
        {"a.x.x.x.x.x.x.x.x"},
    ),
    (
        "{{ $x := .pod.a }}{{ range .pod.list }}{{ .n }}{{ $x.c }}{{ $x = .b }}{{ end }}",
        {"a.c", "list.*.n", "list.*.b.c"},
    ),
    ("{{ . }}", None),
    ("{{ .pod }}", None),
    ("{{ toJson .obj }}", None),
    ("{{ .context.a }}{{ .health.status }}{{ .serviceType }}", set()),
    ("{{ (call .repo.GetCommitMetadata .pod.rev).Author }}", {"rev", "spec", "metadata"}),
    (
        "{{ range .pod.a }}{{ $y := .b }}{{ range .c }}{{ $y }}{{ .d }}{{ end }}{{ end }}",
        {"a.*.b", "a.*.c.*.d"},
    ),
]


@pytest.mark.parametrize(("source", "wanted"), READS, ids=[source for source, _ in READS])
def test_what_it_reads(source: str, wanted: set[str] | None) -> None:
    fields = of_template(gotemplate.parse(source)).fields

    assert wanted == (None if fields is None else {".".join(path) for path in fields})


def test_what_a_template_reads_is_what_all_of_its_texts_read() -> None:
    raw = {
        "message": "{{ .pod.a }}",
        "chat": {"parts": [{"value": "{{ .obj.b }}{{ .recipient }}"}]},
    }
    made = compile_template("t", raw)

    assert made.fields == {("a",), ("b",)}
    assert made.reads == {"pod", "obj", "recipient"}


# ---------------------------------------------------------------------------- secrets

TOKEN = SECRETS["token"]
VEILED = [
    Case("{{ .secrets.token }}", TOKEN),
    Case("{{ .secrets.token | toString }}", TOKEN),
    Case('{{ printf "%s" .secrets.token }}', TOKEN),
    Case('{{ print "a" .secrets.token "b" }}', f"a{TOKEN}b"),
    Case("{{ .secrets.token | quote }}", json.dumps(TOKEN)),
    Case("{{ .secrets.token | trim | upper }}", TOKEN.upper()),
    Case('{{ printf "Bearer %s" (.secrets.token | toString) }}', f"Bearer {TOKEN}"),
    Case("{{ .secrets.token | b64enc }}", base64.b64encode(TOKEN.encode()).decode()),
    Case(
        '{{ printf "%s:%s" .secrets.user .secrets.token | b64enc }}',
        base64.b64encode(f"m-e:{TOKEN}".encode()).decode(),
    ),
    Case('{{ list "a" .secrets.user | join "," }}', "a,m-e"),
    Case(
        '{{ dict "k" .secrets.token "n" 1 | toJson }}',
        json.dumps({"k": TOKEN, "n": 1}, separators=(",", ":")),
    ),
    Case("{{ .secrets.token | toJson }}", json.dumps(TOKEN)),
    Case('{{ index .secrets "dotted.key" }}', "d-o-t"),
    Case("{{ with .secrets.user }}<{{ . }}>{{ end }}", "<m-e>"),
    Case("{{ $s := .secrets.user }}{{ range .pod.status.conditions }}{{ $s }}{{ end }}", "m-em-e"),
    Case("{{ default .secrets.user .pod.none }}", "m-e"),
    Case("{{ if .secrets.user }}y{{ end }}", "y"),
    Case("{{ .secrets.token | trunc 3 }}", TOKEN[:3]),
    Case(
        "{{ .secrets.token | sha256sum | trunc 4 }}",
        hashlib.sha256(TOKEN.encode()).hexdigest()[:4],
    ),
]


@pytest.mark.parametrize("case", VEILED, ids=str)
def test_a_secret_is_there_when_it_is_sent_and_not_before(case: Case) -> None:
    made = rendered({"message": case.source})

    stored = msgspec.json.encode(made)
    assert TOKEN not in made.text
    assert case.wanted == "y" or case.wanted not in made.text
    back = msgspec.json.decode(stored, type=Message)
    assert reveal(back, SECRETS).text == case.wanted
    if case.wanted != "y":
        assert "***" in conceal(back).text


def test_a_secret_in_a_block_is_revealed_there_and_escaped_in_json() -> None:
    raw = {
        "chat": {
            "attachments": {"k": "a {{ .secrets.token }}"},
            "blocks": [{"k": "{{ .secrets.token }}"}],
        }
    }
    made = rendered(raw)

    shown = reveal(made, SECRETS).block
    assert json.loads(shown["attachments"]) == {"k": f"a {TOKEN}"}
    assert shown["blocks"] == [{"k": TOKEN}]
    assert conceal(made).block["blocks"] == [{"k": "***"}]


REFUSED = [
    ("{{ .secrets.tokn }}", "the Secret has no key 'tokn' (did you mean token?)"),
    ('{{ index .secrets "x" }}', "the Secret has no key 'x'"),
    ("{{ len .secrets.token }}", "calling len: what a secret is, is only known when"),
    ('{{ if eq .secrets.token "x" }}{{ end }}', "calling eq: what a secret is"),
    ('{{ if hasPrefix "x" .secrets.token }}{{ end }}', "calling hasPrefix: "),
    (
        "{{ $s := .secrets.token }}{{ range until 60 }}{{ $s = cat $s $s }}{{ end }}{{ $s }}",
        "calling cat with a secret: its arguments are too long",
    ),
    ('{{ printf "%s %s" .secrets.token now }}', "with a secret and what is no JSON"),
    ("{{ call .strings.ToUpper .secrets.token }}", "calling call: what a secret is"),
]


@pytest.mark.parametrize(("source", "says"), REFUSED, ids=str)
def test_what_cannot_be_done_with_a_secret(source: str, says: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        text(source)

    assert says in str(caught.value)


def test_where_there_are_no_secrets_they_cannot_be_read() -> None:
    with pytest.raises(EvaluationError, match=r"there are no \.secrets here"):
        text("{{ .secrets.token }}", known(secrets=None))


def test_a_template_that_takes_all_is_rendered_without_secrets_too() -> None:
    assert "Pod" in text("{{ .pod.kind }}{{ $x := . }}{{ $x.obj.kind }}", known(secrets=None))


def test_a_key_that_is_gone_is_an_error_when_it_is_sent() -> None:
    made = rendered({"message": "{{ .secrets.token | b64enc }}"})

    with pytest.raises(EvaluationError, match="reading key 'token' of the Secret"):
        reveal(made, {})


def forged(key: str) -> str:
    return veil.marker("$secret", [key])


@pytest.mark.parametrize(
    "source",
    [
        "{{ .pod.metadata.evil }}",
        "{{ .pod.metadata.evil }}{{ .secrets.user }}",
        "{{ print .secrets.user .pod.metadata.evil }}",
        '{{ printf "%s %s" .pod.metadata.evil .secrets.user | quote }}',
        "{{ .pod.metadata.evil | toJson }}",
    ],
)
def test_nobody_forges_a_marker(source: str) -> None:
    """A note on an object must not bring a secret into a message."""
    pod = {"metadata": {"evil": forged("token")}}
    values = {**known(), "pod": pod, "obj": pod}

    assert TOKEN not in reveal(rendered({"message": source}, values=values), SECRETS).text


def test_what_is_written_in_the_configuration_forges_none_either() -> None:
    assert TOKEN not in reveal(rendered({"message": forged("token")}), SECRETS).text


def test_a_digest_keeps_the_secrets_of_what_it_gathers() -> None:
    first = rendered({"message": "pw {{ .secrets.user }}"})
    values = known(messages=[{"text": first.text, "trigger": "t"}])

    made = text("{{ range .messages }}- {{ .text }}{{ end }}", values)

    assert reveal(Message(text=made), SECRETS).text == "- pw m-e"


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_secret_between_any_texts(before: str, secret: str) -> None:
    pod = {"note": before}
    values = {**known(secrets={"k": secret}), "pod": pod}
    clean = "".join("\ufffd" if letter in {veil.OPEN, veil.CLOSE} else letter for letter in before)

    made = rendered(
        {"message": "{{ .pod.note }}{{ .secrets.k }}|{{ .secrets.k | b64enc }}"}, values=values
    )

    wanted = f"{clean}{secret}|{base64.b64encode(secret.encode()).decode()}"
    assert reveal(made, {"k": secret}).text == wanted


def test_a_template_is_compiled_for_all_services_at_once() -> None:
    made = compile_template("t", {"chat": {"username": "a"}, "webhook": {"x": {"body": "b"}}})

    assert isinstance(made, Template)
    assert set(made.blocks) == {"chat", "webhook"}
