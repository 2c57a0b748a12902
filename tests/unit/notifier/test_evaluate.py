"""Whom a change of an object is told to, and whom not any more."""

import json

import pytest
from notifier_kit import CONFIG, START, Story, plan_of

FAILED = ["hook: web failed"]


def story(text: str = CONFIG, **more) -> Story:
    return Story(plan_of(text, **more))


def condition(**more) -> str:
    lines = "".join(f"    {key}: {value}\n" for key, value in more.items())
    return CONFIG.replace(
        "    send: [failed]\n", "    send: [failed]\n" + lines.replace("    ", "    ")
    )


# ---------------------------------------------------------------------------- once each time


def test_each_time_the_condition_turns_true_is_told_once():
    pod = story()
    told = [pod.look(phase) for phase in ("Running", "Failed", "Failed", "Running", "Failed")]
    assert told == [[], FAILED, [], [], FAILED]


def test_the_keys_of_two_times_differ_and_the_key_of_one_time_stays():
    pod, twin = story(), story()
    pod.look("Failed")
    twin.look("Failed")
    first = pod.decision.notifications[0]
    assert first.key == twin.decision.notifications[0].key
    pod.look("Running")
    pod.look("Failed")
    assert pod.decision.notifications[0].key != first.key


def test_an_error_is_neither_true_nor_false():
    """It neither tells nor forgets: upstream a passing error leads to a second message."""
    text = CONFIG.replace("pod.status.phase ==", "pod.status.reason.word + pod.status.phase ==")
    text = text.replace("'Failed'", "'xFailed'")
    pod = story(text)
    assert pod.look("Failed", reason={"word": "x"}) == FAILED
    assert pod.look("Failed") == []
    assert "reason" in pod.decision.problems[0]
    assert pod.look("Failed", reason={"word": "x"}) == []


def test_nothing_is_stored_while_nothing_happens():
    pod = story()
    pod.look("Running")
    assert not pod.decision.changed
    pod.look("Failed")
    assert pod.decision.changed
    pod.look("Failed")
    assert not pod.decision.changed


# ---------------------------------------------------------------------------- oncePer


def test_each_value_of_once_per_is_told_once():
    pod = story(condition(oncePer="pod.status.run"))
    assert pod.look("Failed", run=1) == FAILED
    assert pod.look("Failed", run=2) == FAILED
    assert pod.look("Running", run=2) == []
    assert pod.look("Failed", run=2) == []
    assert pod.look("Failed", run=1) == []


def test_a_value_that_was_not_delivered_counts_when_the_condition_is_met_anew():
    pod = story(condition(oncePer="pod.status.run"))
    pod.look("Failed", run=1)
    pod.state.phases[next(iter(pod.state.phases))].told[0].stage = "dead"
    assert pod.look("Failed", run=1) == []
    pod.look("Running", run=1)
    assert pod.look("Failed", run=1) == FAILED


def test_once_per_that_cannot_be_evaluated_tells_nobody_and_says_so():
    pod = story(condition(oncePer="pod.status.run.number"))
    assert pod.look("Failed") == []
    assert "oncePer" in pod.decision.problems[0]
    assert pod.look("Failed", run={"number": 1}) == FAILED


def test_long_values_of_once_per_are_kept_short():
    pod = story(condition(oncePer="pod.status.text"))
    assert pod.look("Failed", text="x" * 10_000) == FAILED
    assert pod.look("Failed", text="x" * 10_000) == []
    assert len(json.dumps([t.once for p in pod.state.phases.values() for t in p.told])) < 100


# ---------------------------------------------------------------------------- destinations


def test_a_new_subscriber_is_told_alone():
    pod = story()
    pod.look("Failed")
    pod.annotations["notifications.argoproj.io/subscribe.on-failed.other"] = ""
    assert pod.look("Failed") == ["other: web failed"]


def test_a_hundred_and_twenty_recipients_are_told_once_each():
    """Upstream keeps a hundred, and tells twenty of them at every look for ever."""
    pod = story()
    names = ";".join(f"r{n}" for n in range(120))
    pod.annotations = {"notifications.argoproj.io/subscribe.on-failed.hook": names}
    told = [len(pod.look("Failed")) for _ in range(5)]
    assert told == [120, 0, 0, 0, 0]


def test_recipients_come_from_the_object():
    pod = story()
    pod.annotations = {
        "notifications.argoproj.io/subscribe.on-failed.hook":
            "{{ .pod.metadata.labels.owner }};{{ .pod.metadata.labels.absent }}"
    }  # fmt: skip
    pod.labels = {"owner": "alice"}
    assert pod.look("Failed") == ["hook:alice web failed"]
    assert any("absent" in problem for problem in pod.decision.problems)


# ---------------------------------------------------------------------------- time


def test_a_condition_that_must_stay_true():
    pod = story(condition(**{"for": "5m"}))
    assert pod.look("Failed") == []
    assert pod.decision.wake == pytest.approx(pod.now + 300)
    assert pod.look("Failed", later=200) == []
    pod.look("Running")
    assert pod.look("Failed") == []
    pod.now += 300
    assert pod.again("Failed") == FAILED
    assert pod.again("Failed") == []


def test_told_again_while_it_lasts():
    pod = story(condition(repeatEvery="1h"))
    assert pod.look("Failed") == FAILED
    first = pod.decision.notifications[0]
    assert pod.decision.wake == pytest.approx(pod.now + 3600)
    pod.now += 3599
    assert pod.again("Failed") == []
    pod.now += 1
    assert pod.again("Failed") == FAILED
    second = pod.decision.notifications[0]
    assert second.key != first.key
    assert second.message.incident == first.message.incident
    assert pod.again("Failed") == []


def test_told_that_it_is_over():
    pod = story(condition(sendResolved="true"))
    pod.look("Failed")
    first = pod.decision.notifications[0]
    assert pod.look("Running") == ["hook: web failed no more"]
    over = pod.decision.notifications[0]
    assert over.resolved
    assert over.message.resolved
    assert over.key != first.key
    assert over.message.incident == first.message.incident
    assert pod.look("Running") == []
    assert pod.look("Failed") == FAILED


def test_a_clock_is_looked_at_without_a_change():
    text = CONFIG.replace("pod.status.phase == 'Failed'", "time.Now().Unix() > pod.status.until")
    pod = story(text)
    pod.look(until=0)
    assert pod.decision.wake == pytest.approx(pod.now + 15)


# ---------------------------------------------------------------------------- edits


def test_an_edited_condition_tells_nobody_again():
    """Upstream every edit, even of white space, sends everything once more."""
    pod = story()
    pod.look("Failed")
    for when in ("pod.status.phase   == 'Failed'", "pod.status.phase in ['Failed', 'Unknown']"):
        pod.plan = plan_of(CONFIG.replace("pod.status.phase == 'Failed'", when))
        assert pod.look("Failed") == [], when
    assert pod.look("Running") == []
    assert pod.look("Failed") == FAILED


def test_conditions_that_change_places_tell_nobody_again():
    two = CONFIG.replace(
        "    send: [failed]\n",
        "    send: [failed]\n  - when: pod.status.phase != 'Running'\n    send: [failed]\n",
    )
    swapped = CONFIG.replace(
        "  - when: pod.status.phase == 'Failed'\n    send: [failed]\n",
        "  - when: pod.status.phase != 'Running'\n    send: [failed]\n"
        "  - when: pod.status.phase == 'Failed'\n    send: [failed]\n",
    )
    pod = story(two)
    assert pod.look("Failed") == FAILED * 2
    pod.plan = plan_of(swapped)
    assert pod.look("Failed") == []


def test_an_edited_condition_that_was_not_met_before_is_told():
    pod = story(CONFIG.replace("'Failed'", "'failed'"))
    assert pod.look("Failed") == []
    pod.plan = plan_of(CONFIG)
    assert pod.look("Failed") == FAILED


def test_a_template_that_fails_is_tried_again_once_it_is_mended():
    broken = CONFIG.replace(".pod.metadata.name", ".pod.metadata.name.first")
    pod = story(broken)
    assert pod.look("Failed") == []
    assert "template" in pod.decision.looks[0].outcomes[0].what
    assert pod.look("Failed") == []
    pod.plan = plan_of(CONFIG)
    assert pod.look("Failed") == FAILED


def test_a_template_that_fails_is_tried_again_by_and_by():
    """What it lacks may come back, such as a repo-server; the same failure is not stored again."""
    pod = story(CONFIG.replace(".pod.metadata.name", ".pod.status.reason.word"))
    assert pod.look("Failed", reason="x") == []
    assert pod.decision.wake == pytest.approx(pod.now + 300)
    pod.now += 300
    assert pod.again("Failed", reason="x") == []
    assert not pod.decision.changed
    pod.now += 300
    assert pod.again("Failed", reason={"word": "web"}) == FAILED


# ---------------------------------------------------------------------------- first sight


def test_what_argo_told_before_is_not_told_again():
    pod = story()
    item = pod.plan.item(
        "on-failed",
        pod.plan.configuration.triggers["on-failed"].conditions[0],
        ("hook", "", ""),
    )
    pod.annotations["notified.notifications.argoproj.io"] = json.dumps({item: 1_600_000_000})
    assert pod.look("Failed") == []
    pod.look("Running")
    assert pod.look("Failed") == FAILED


def test_a_new_notifier_may_take_what_holds_as_told():
    pod = story(adopting=True)
    assert pod.look("Failed") == []
    pod.plan.adopting = False
    pod.look("Running")
    assert pod.look("Failed") == FAILED


# ---------------------------------------------------------------------------- health


def test_health_and_what_it_was():
    text = CONFIG.replace(
        "pod.status.phase == 'Failed'",
        "health.status == 'Healthy' and health.previous == 'Degraded'",
    )
    pod = story(text)
    ready = [{"type": "Ready", "status": "True"}]
    assert pod.look("Running", conditions=ready) == []
    assert pod.look("Failed") == []
    assert pod.look("Running", conditions=ready) == ["hook: web failed"]
    assert pod.look("Running", conditions=ready) == []
    assert pod.state.health.since > START
