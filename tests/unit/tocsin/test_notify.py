"""`tocsin notify` with files: what is there, what a trigger gives, what would be sent."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from notifier.plan import Plan
from notifier.state import ObjectState, Phase, Told
from spine.errors import ConfigError
from spine.manifest import read_text
from tocsin.cli import cli
from tocsin.notifying.explaining import Account
from tocsin.notifying.finding import Choice, inputs
from tocsin.notifying.looking import Evaluated
from tocsin.notifying.records import Remembered
from tocsin.notifying.subscribed import origins

SECRET = "xoxb-very-secret"
CONFIG = {
    "service.slack": "token: $slacktoken",
    "service.email": "{host: localhost, port: 2525, from: bot@example.com, html: true}",
    "service.webhook.hook": "url: http://127.0.0.1:9/$slacktoken",
    "defaultTriggers": "[on-failed]",
    "trigger.on-failed": """
- description: the pod failed
  when: pod.status.phase == 'Failed'
  oncePer: pod.metadata.generation
  send: [failed]
- when: pod.status.foo.bar == 1
  send: [failed]
- when: any(pod.status.conditions ?? [], {.type == 'Ready' and .status == 'True'})
  send: [failed]
""",
    "trigger.on-degraded": """
- when: health.status == 'Degraded' and repo.GetAppDetails().Type == ''
  for: 5m
  send: [failed]
""",
    "trigger.bad": "[{when: pod.status ==, send: [failed]}]",
    "template.failed": """
message: >-
  {{ .pod.metadata.name }} failed {{ .secrets.slacktoken }}{{ if .resolved }} no more{{ end }}
email:
  subject: "{{ .pod.metadata.name }} failed"
  body: "<b>{{ .recipient }}</b>"
slack:
  blocks: |
    [{"type": "header", "text": {"type": "plain_text", "text": "{{ .pod.metadata.name }}"}}]
webhook:
  hook: {method: PUT, body: '{"pod": {{ .pod.metadata.name | toJson }}}'}
""",
    "template.late": 'message: "{{ .pod.metadata.name | upper }}"',
    "subscriptions": """
- {recipients: [slack:ops], triggers: [on-failed], selector: team=a}
- {recipients: [slack:all], triggers: [on-degraded]}
""",
    "quietHours": '[{services: [slack], from: "00:00", to: "23:59", then: drop},'
    ' {services: [slack], from: "23:59", to: "00:00", then: drop}]',
    "digests": "[{services: [email], window: 10m}]",
    "limits": "slack: {rate: 10/m, burst: 5}",
    "groups": "team: [slack:one, hook]",
}  # fmt: skip
ANNOTATIONS = "notifications.argoproj.io"
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u1",
        "generation": 3,
        "labels": {"team": "a"},
        "annotations": {
            f"{ANNOTATIONS}/subscribe.on-failed.email": "dev@example.com",
            f"{ANNOTATIONS}/subscribe.hook": "",
            f"{ANNOTATIONS}/mute": "on-degraded",
        },
    },
    "spec": {"restartPolicy": "Always"},
    "status": {
        "phase": "Failed",
        "message": "out of memory",
        "conditions": [{"type": "Ready", "status": "False"}],
    },
}


@dataclass(frozen=True)
class Given:
    """A folder with a configuration and a Pod, and the command line in it."""

    folder: Path

    def write(self, name: str, *objects: Any) -> str:
        file = self.folder / name
        file.write_text(yaml.safe_dump_all(objects))
        return str(file)

    def run(self, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
        """Run a command; return its exit code, output, and the error."""
        done = CliRunner().invoke(
            cli, ["notify", *words], input=stdin, standalone_mode=False, catch_exceptions=True
        )
        if isinstance(done.exception, ConfigError | click.UsageError):
            return 2, done.output, str(done.exception)
        if done.exception is not None:
            raise done.exception
        code = done.return_value if isinstance(done.return_value, int) else done.exit_code
        return code, done.stdout, done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "-o", "json")[1])


def config_map(name: str = "pods-cm", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {**CONFIG, **data}}  # fmt: skip


SECRETS = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "pods-secret"},
    "stringData": {"slacktoken": SECRET},
}


@pytest.fixture
def given(tmp_path, monkeypatch) -> Given:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    made = Given(tmp_path)
    made.write("cm.yaml", config_map(), SECRETS)
    made.write("pod.yaml", POD)
    return made


# ---------------------------------------------------------------------------- get


def test_triggers_are_listed_with_what_is_wrong(given):
    code, out, _ = given.run("trigger", "get", "-f", "cm.yaml")
    assert code == 0
    assert "bad  disabled by an error\n  error: [0].when: compiling expression" in out
    assert "pod.status.phase == 'Failed'\n            sends failed, once per" in out
    found = given.json("trigger", "get", "on-degraded", "-f", "cm.yaml")["triggers"]
    assert [one["name"] for one in found] == ["on-degraded"]
    assert found[0]["conditions"][0]["for"] == 300


def test_what_is_missing_in_a_service_is_named(given):
    given.write("cm.yaml", config_map(**{"service.email": "{port: 25}"}), SECRETS)
    found = given.json("trigger", "get", "-f", "cm.yaml")["problems"]
    assert "service.email: host: required field is missing" in [one["message"] for one in found]


def test_templates_are_listed_with_who_sends_them(given):
    found = {
        one["name"]: one for one in given.json("template", "get", "-f", "cm.yaml")["templates"]
    }
    assert found["failed"]["blocks"] == ["email", "slack", "webhook"]
    assert set(found["failed"]["triggers"]) == {"on-failed", "on-degraded"}
    assert found["late"]["triggers"] == []
    _, out, _ = given.run("template", "get", "late", "-f", "cm.yaml")
    assert "upper }}" in out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["trigger", "get", "on-faild", "-f", "cm.yaml"], "did you mean on-failed"),
        (["trigger", "run", "on-faild", "pod.yaml", "-f", "cm.yaml"], "did you mean on-failed"),
        (["trigger", "run", "bad", "pod.yaml", "-f", "cm.yaml"], "it is disabled: trigger.bad"),
        (["template", "preview", "lat", "pod.yaml", "-f", "cm.yaml"], "did you mean late"),
        (["template", "preview", "pod.yaml", "-f", "cm.yaml"], "NAME... OBJECT"),
        (["trigger", "run", "on-failed", "pd.yaml", "-f", "cm.yaml"], "No such file"),
        (["trigger", "run", "on-failed", "cm.yaml", "-f", "cm.yaml"], "choose one: cm.yaml#"),
        (["trigger", "run", "on-failed", "pod", "-f", "cm.yaml"], "or KIND/NAME of the cluster"),
        (["trigger", "run", "on-failed", "pod/web", "-f", "cm.yaml"], "without a cluster: -f"),
        (["trigger", "get", "-f", "pod.yaml"], "no configuration of notifications"),
        (["trigger", "get", "-f", "cm.yaml", "--config-map", "cm.yaml"], "stands alone"),
        (["trigger", "get", "-f", "cm.yaml", "--notifier", "pod-cm"], "did you mean pods-cm"),
    ],
)  # fmt: skip
def test_wrong_input_ends_with_2_and_the_way_out(given, words, why):
    code, _, problem = given.run(*words)
    assert code == 2
    assert why in problem


# ---------------------------------------------------------------------------- trigger run


def test_each_condition_has_one_of_three_outcomes(given):
    code, out, _ = given.run("trigger", "run", "on-failed", "pod.yaml", "-f", "cm.yaml")
    assert code == 0
    assert "[0]         met  the pod failed" in out
    assert "[1]         error" in out
    assert "pod.status.foo is nil: write pod.status.foo?.bar" in out
    assert "[2]         not met" in out
    assert 'element 0 false (.type = "Ready", .status = "False")' in " ".join(out.split())
    assert '= "3"' in out
    assert "met         1 of 3 conditions" in out


def test_it_says_what_would_be_sent_to_whom_and_how(given):
    found = given.json("trigger", "run", "on-failed", "pod.yaml", "-f", "cm.yaml")
    told = {(one["service"], one["recipient"]): one for one in found["messages"]}
    assert set(told) == {("email", "dev@example.com"), ("hook", ""), ("slack", "ops")}
    assert told["hook", ""]["text"] == 'PUT\n\n{"pod": "web"}'
    assert told["email", "dev@example.com"]["manner"] == ["gathered for a digest of 10m"]
    assert told["slack", "ops"]["manner"] == [
        "quiet hours drop it",
        "no more than 10 a minute, 5 at once",
    ]


def test_the_exit_code_says_whether_a_condition_is_met(given):
    running = {**POD, "status": {"phase": "Running"}}
    given.write("up.yaml", running)
    words = ("trigger", "run", "on-failed", "up.yaml", "-f", "cm.yaml")
    assert given.run(*words)[0] == 1
    assert given.run(*words, "--exit-zero")[0] == 0
    assert given.json(*words)["met"] is False


def test_a_hold_counts_from_now_and_repo_is_empty_offline(given):
    code, out, _ = given.run("trigger", "run", "on-degraded", "pod.yaml", "-f", "cm.yaml")
    assert code == 0
    assert "it must hold for 5m, so not before" in out


def test_an_object_that_is_not_subscribed_is_looked_at_all_the_same(given):
    bare = {**POD, "metadata": {"name": "bare"}}
    file = given.write("bare.yaml", bare)
    code, out, _ = given.run("trigger", "run", "on-failed", file, "-f", "cm.yaml")
    assert code == 0
    assert "annotation: notifications.argoproj.io/subscribe.on-failed.SERVICE: RECIPIENT" in out
    assert "would tell" not in out


def test_an_object_of_another_kind_is_looked_at_with_a_note(given):
    job = {**POD, "kind": "Job", "apiVersion": "batch/v1"}
    file = given.write("job.yaml", job)
    found = given.json("trigger", "run", "on-failed", file, "-f", "cm.yaml")
    assert found["conditions"][0]["outcome"] == "error"
    assert "it watches Pod of v1, this is Job of batch/v1" in found["problems"][0]


def test_a_configuration_that_names_no_kind_is_about_the_object(given):
    data = {"trigger.t": "[{when: obj.spec.x == 1, send: [m]}]", "template.m": "message: hi",
            "service.console": "{}"}  # fmt: skip
    made = {**config_map(), "data": data}
    thing = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"x": 1}}
    words = (given.write("any.yaml", made), given.write("thing.yaml", thing))
    found = given.json("trigger", "run", "t", words[1], "-f", words[0])
    assert (found["met"], found["problems"]) == (True, [])


def test_one_of_several_objects_and_standard_input(given):
    listed = {"apiVersion": "v1", "kind": "List", "items": [POD, {**POD, "kind": "Node"}]}
    file = given.write("two.yaml", listed)
    words = ("trigger", "run", "on-failed")
    assert given.run(*words, f"{file}#pod/web", "-f", "cm.yaml")[0] == 0
    assert given.run(*words, file, "-f", "cm.yaml")[0] == 2
    text = json.dumps(POD)
    assert given.run(*words, "-", "-f", "cm.yaml", stdin=text)[0] == 0


@pytest.mark.parametrize("secret", [[], ["--secret", ":empty"], ["--secret", "s.yaml"]])
def test_the_flags_of_peers(given, secret):
    given.write("only.yaml", config_map())
    given.write("s.yaml", {**SECRETS, "metadata": {"name": "of-another-name"}})
    words = ("trigger", "run", "on-failed", "pod.yaml", "--config-map", "only.yaml", *secret)
    found = given.json(*words)
    assert found["met"]
    missing = [one for one in found["problems"] if "has no key 'slacktoken'" in one]
    assert bool(missing) == (":empty" in secret)


# ---------------------------------------------------------------------------- preview


def test_each_service_shows_what_its_reader_would_see(given):
    code, out, _ = given.run(
        "template", "preview", "failed", "pod.yaml", "-f", "cm.yaml", "--recipient", "me"
    )
    assert code == 0
    assert "service     slack:me\n  # web\n  (in notifications: web failed ***)" in out
    assert "service     email:me\n  Subject: web failed\n\n  <b>me</b>" in out
    assert 'service     hook:me (webhook)\n  PUT\n\n  {"pod": "web"}' in out


def test_a_type_that_is_not_configured_may_be_named(given):
    words = ("template", "preview", "late", "failed", "pod.yaml", "-f", "cm.yaml")
    found = given.json(*words, "--service", "telegram", "--resolved")["messages"]
    assert [one["text"] for one in found] == ["web failed *** no more"]
    found = given.json(*words, "--service", "webhook.hook")["messages"]
    assert found[0]["text"].startswith("PUT")
    code, _, problem = given.run(*words, "--service", "slak")
    assert (code, "did you mean slack" in problem) == (2, True)


def test_no_secret_is_shown_by_any_command(given):
    trigger = ("trigger", "run", "on-failed", "pod.yaml")
    commands = (
        ("trigger", "get"), ("template", "get", "failed"), trigger, (*trigger, "--full"),
        ("template", "preview", "failed", "pod.yaml", "--html", "-"), ("explain", "pod.yaml"),
    )  # fmt: skip
    for words in commands:
        for output in ("text", "json"):
            _, out, problem = given.run(*words, "-f", "cm.yaml", "-o", output)
            assert out
            assert SECRET not in out + problem


def test_a_message_that_cannot_be_rendered_ends_with_1(given):
    broken = config_map(**{"template.late": 'message: "{{ .pod.none | upper }}"'})
    given.write("broken.yaml", broken, SECRETS)
    words = ("template", "preview", "late", "pod.yaml", "-f", "broken.yaml")
    code, out, _ = given.run(*words, "--service", "slack")
    assert code == 1
    assert "error: rendering template 'late': message, line 1" in out


def test_mails_as_a_page(given):
    words = ("template", "preview", "failed", "pod.yaml", "-f", "cm.yaml", "--service", "email")
    code, _, said = given.run(*words, "--recipient", "a@b.c", "--html", "mail.html")
    assert (code, said) == (0, "written to mail.html\n")
    page = Path("mail.html").read_text()
    assert "<th>From</th><td>bot@example.com</td>" in page
    assert "<th>To</th><td>a@b.c</td>" in page
    assert 'srcdoc="&lt;b&gt;a@b.c&lt;/b&gt;"' in page


# ---------------------------------------------------------------------------- send


def test_the_default_recipient_prints(given, capfd):
    code, _, said = given.run("template", "send", "late", "pod.yaml", "-f", "cm.yaml")
    assert (code, said) == (0, "sent to console:stdout: printed\n")


@pytest.mark.parametrize("verb", ["send", "notify"])
def test_it_asks_before_it_sends(given, verb):
    words = ("template", verb, "late", "pod.yaml", "-f", "cm.yaml", "--recipient", "hook:")
    code, out, said = given.run(*words, stdin="n\n")
    assert code == 1
    assert "WEB" in out
    assert "Send this to hook? [y/N]" in said
    code, _, problem = given.run(*words, stdin="")
    assert (code, "give --yes" in problem) == (2, True)


@pytest.mark.parametrize(
    ("recipient", "why"),
    [
        ("telegram:1", "service 'telegram' is not configured"),
        ("email:nobody", "'nobody' is no e-mail address"),
        ("group:none", "telling group 'none': there is none"),
        ("slak:x", "did you mean slack"),
    ],
)
def test_nothing_is_sent_to_who_cannot_be_told(given, recipient, why):
    words = ("template", "send", "late", "pod.yaml", "-f", "cm.yaml", "--yes")
    code, _, problem = given.run(*words, "--recipient", recipient)
    assert code == 2
    assert why in problem


def test_nothing_is_sent_without_the_secret_that_it_needs(given):
    given.write("only.yaml", config_map())
    for name, to in (("late", "slack:x"), ("failed", "console:x")):
        words = ("template", "send", name, "pod.yaml", "--config-map", "only.yaml", "--yes")
        code, _, problem = given.run(*words, "--recipient", to)
        assert (code, "give --secret" in problem) == (2, True)


# ---------------------------------------------------------------------------- explain


def test_explain_tells_who_is_told_and_why(given):
    code, out, _ = given.run("explain", "pod.yaml", "-f", "cm.yaml")
    assert code == 0
    assert "health      Degraded: out of memory" in out
    assert "record      none at hand: looking for a running `tocsin run`" in out
    found = given.json("explain", "pod.yaml", "-f", "cm.yaml")["accounts"][0]
    said = {
        (one["trigger"], one["service"], one["recipient"]): (one["default"], one["muted"])
        for one in found["subscriptions"]
    }
    assert said == {
        ("on-failed", "email", "dev@example.com"): (False, False),
        ("on-failed", "hook", ""): (True, False),
        ("on-failed", "slack", "ops"): (False, False),
        ("on-degraded", "slack", "all"): (False, True),
    }
    assert [one["trigger"] for one in found["conditions"]] == ["on-failed"] * 3
    assert any("trigger.bad" in one for one in found["problems"])


def test_explain_says_why_no_notifier_takes_it(given):
    notifier = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Notifier",
        "metadata": {"name": "pods"},
        "spec": {
            "watches": [{"apiVersion": "v1", "kind": "Pod", "namespaces": ["prod-*"]}],
            "configMap": "pods-cm",
            "secret": "pods-secret",
        },
    }
    given.write("n.yaml", config_map(), SECRETS, notifier)
    code, out, _ = given.run("explain", "pod.yaml", "-f", "n.yaml")
    assert code == 1
    assert "it watches namespaces prod-*, this is in shop" in out


def test_a_namespace_with_a_configuration_of_its_own_has_its_own_account(given):
    notifier = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Notifier",
        "metadata": {"name": "pods"},
        "spec": {
            "watches": [{"apiVersion": "v1", "kind": "Pod"}],
            "configMap": "pods-cm",
            "secret": "pods-secret",
            "selfService": True,
        },
    }
    own = config_map()
    own["metadata"] = {"name": "pods-cm", "namespace": "shop"}
    own["data"] = {
        "service.console": "{}",
        "trigger.own": "[{when: pod.status.phase == 'Failed', send: [m]}]",
        "template.m": "message: from the shop",
        "subscriptions": "[{recipients: [console:a], triggers: [own]}]",
    }
    given.write("n.yaml", config_map(), SECRETS, notifier, own)
    accounts = given.json("explain", "pod.yaml", "-f", "n.yaml")["accounts"]
    assert [one["notifier"] for one in accounts] == ["pods", "pods, of namespace shop"]
    assert [one["text"] for one in accounts[1]["messages"]] == ["from the shop"]


async def test_what_was_told_is_taken_from_the_record(given):
    now = 1_700_000_000.0
    async with inputs(Choice(files=("cm.yaml",)), "pod.yaml") as found:
        assert found.subject is not None
        one = found.found[0]
        plan = one.plan(found.subject)
        assert isinstance(plan, Plan)
        condition = one.triggers["on-failed"].conditions[0]
        told = Told("email", "dev@example.com", "sent", now - 60, 1, once="3")
        old = Told("slack", "ops", "dead", now - 900, 1, once="2")
        phase = Phase(number=1, since=now - 60, told=[old, told])
        state = ObjectState(version="1", phases={f"on-failed/{condition.id}": phase})
        evaluated = Evaluated.of(plan, found.subject, state, now)
        assert state.phases[f"on-failed/{condition.id}"].told == [old, told], "it is left as it is"
        account = Account(one, plan, Remembered(state, "here", known=True), evaluated)
        shown, text = account.json(), "\n".join(account.lines(full=False))
    first = shown["conditions"][0]
    said = {(o["service"], o["recipient"]): o["what"] for o in first["outcomes"]}
    assert said == {
        ("email", "dev@example.com"): "told already",
        ("hook", ""): "tell",
        ("slack", "ops"): "tell",
    }
    assert first["since"] == "2023-11-14T22:12:20Z"
    assert "email:dev@example.com  told already, " in text
    assert "before    slack:ops  given up: see tocsin dlq, " in text
    assert {one["service"] for one in shown["messages"]} == {"hook", "slack"}


async def test_origins_are_what_the_notifier_itself_resolves(given):
    async with inputs(Choice(files=("cm.yaml",)), "pod.yaml") as found:
        assert found.subject is not None
        plan = found.found[0].plan(found.subject)
        assert plan is not None
        meta = found.subject.seen.meta
        told = {(o.trigger, o.destination) for o in origins(plan, meta) if not o.muted}
        resolved = plan.subscribed(meta).by_trigger
    assert told == {(trigger, one) for trigger, places in resolved.items() for one in places}


# ---------------------------------------------------------------------------- validate


def test_validate_finds_what_lint_finds(given):
    code, out, _ = given.run("validate", "cm.yaml", "-o", "json")
    assert code == 2
    linted = CliRunner().invoke(cli, ["lint", "cm.yaml", "--format", "json"])
    assert json.loads(out) == json.loads(linted.stdout)
    assert given.run("validate", "-f", "cm.yaml")[0] == 2


def test_every_command_has_examples_that_parse():
    """Each line of an example is a command with options that exist."""
    group = cli.get_command(click.Context(cli), "notify")
    assert isinstance(group, click.Group)
    seen = 0
    for words in _examples(group):
        command: click.Command = group
        rest = words
        while isinstance(command, click.Group) and rest:
            found = command.get_command(click.Context(command), rest[0])
            assert found is not None, words
            command, rest = found, rest[1:]
        command.make_context("x", list(rest), resilient_parsing=False).close()
        seen += 1
    assert seen >= 15


def _examples(command: click.Command) -> Any:
    import shlex

    text = (command.help or "").replace("\\\n", " ")
    for line in text.splitlines():
        if "tocsin notify" in line and line.startswith("  "):
            yield shlex.split(line.partition("tocsin notify")[2].replace("#", "\\#"))
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from _examples(found)


def test_the_configuration_here_is_as_lint_wants_it_but_for_one_key():
    text = yaml.safe_dump(config_map())
    assert read_text(text.encode(), "cm").of("ConfigMap")
