"""Whatever stands in a ConfigMap, reading it ends with a configuration and its problems."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from notifier.config import load
from services.catalogue import SERVICES

KEYS = st.one_of(
    st.sampled_from(
        [
            *("trigger.a", "trigger.b", "template.a", "template.b", "defaultTriggers"),
            *("defaultTriggers.slack", "subscriptions", "context", "config.yaml", "directory"),
            *("groups", "quietHours", "digests", "limits", "service.webhook.slack", "x", ""),
        ]
    ),
    st.sampled_from(sorted(SERVICES)).map("service.{}".format),
    st.text(alphabet="trigeswvcplaum.", max_size=20),
)
WORDS = st.sampled_from(
    [
        *("when", "oncePer", "send", "a", "b", "message", "slack", "webhook", "email", "group"),
        *("recipients", "triggers", "selector", "from", "to", "window", "rate", "days", "then"),
        *(
            "templates",
            "name",
            "condition",
            "template",
            "enabled",
            "body",
            "subject",
            "attachments",
        ),
        *("url", "token", "host", "port", "headers", "value", "apiKeys", "recipientUrls", "for"),
        *("$a", "${b.c}", "$$", "{{ .obj.a }}", "{{ .secrets.a }}", "{{", "22:00", "10m", "5/s"),
        *(
            "slack:a",
            "group:a",
            "a in (b)",
            "obj.a == 1",
            "true",
            "*",
            "<<",
            "y",
            "1e400",
            "user:a",
        ),
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.text(max_size=10)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
TEXTS = VALUES.map(lambda value: yaml.safe_dump(value, allow_unicode=True)) | st.text(max_size=40)
SECRETS = st.none() | st.dictionaries(
    st.sampled_from(["a", "b.c", "d/e", "notifiers.yaml"]), TEXTS, max_size=3
)


@given(st.dictionaries(KEYS, TEXTS, max_size=6), SECRETS, st.booleans())
def test_reading_never_fails(
    data: dict[str, str], secret: dict[str, str] | None, own: bool
) -> None:
    made = load(data, secret, name="cm", namespace="ns", variables={"obj"}, own_secrets_only=own)

    for problem in made.problems:
        assert problem.key in {*data, "notifiers.yaml"}
        assert problem.line >= 1
        assert problem.column >= 1
        assert str(problem)
    for subscription in made.subscriptions:
        assert set(subscription.triggers) <= made.triggers.keys()
        assert {one.service for one in subscription.destinations} <= {*made.services, "group"}
    for key in made.broken:
        family, _, name = key.partition(".")
        known = {"trigger": made.triggers, "template": made.templates, "service": made.services}
        assert name not in known.get(family, {})


SECRET = "hunter2-hunter2"


@given(st.sampled_from(sorted(SERVICES)), st.dictionaries(WORDS, VALUES, max_size=5), WORDS)
def test_a_secret_is_in_no_problem(kind: str, value: dict[str, Any], key: str) -> None:
    text = yaml.safe_dump({**value, key: "$a", "other": {"$a": ["$a"]}})

    made = load({f"service.{kind}": text}, {"a": SECRET}, name="", namespace="", variables={"obj"})

    assert "hunter2" not in "\n".join(map(str, made.problems))
    assert "hunter2" not in repr(made)
