"""Secrets that are replaced: both values are good for a while, and none is empty."""

import pytest

from eventsource.rotating import GRACE, Rotating
from spine.errors import ConfigError
from spine.secrets import GivenSecrets, SecretRef

REF = SecretRef(name="s", key="k")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Changing(GivenSecrets):
    """A Secret that a test changes, or takes away with None."""

    def __init__(self, value: str | None) -> None:
        super().__init__()
        self.value, self.looked = value, 0

    def secret(self, ref):
        self.looked += 1
        if self.value is None:
            raise ConfigError("reading key 'k' of Secret 's': no such file")
        return self.value


def test_a_new_value_and_the_one_before_it():
    secrets, clock = Changing("one"), Clock()
    rotating = Rotating(secrets, REF, clock)
    secrets.value = "two"
    assert rotating.values() == ("one",), "looked at a moment ago"
    clock.now += 1.0
    assert rotating.values() == ("two", "one")
    assert rotating.value == "two"
    clock.now += GRACE - 0.1
    assert rotating.values() == ("two", "one")
    clock.now += 0.1
    assert rotating.values() == ("two",)


def test_what_is_registered_is_the_value_of_this_moment():
    secrets = Changing("one")
    rotating = Rotating(secrets, REF, Clock())
    secrets.value = "two"
    assert rotating.value == "two"
    assert rotating.values() == ("two", "one")


def test_the_value_before_the_one_before_is_not_good():
    secrets, clock = Changing("one"), Clock()
    rotating = Rotating(secrets, REF, clock)
    for value in ("two", "three"):
        secrets.value = value
        clock.now += 1.0
        rotating.values()
    assert rotating.values() == ("three", "two")


def test_it_is_not_read_for_each_request():
    secrets, clock = Changing("one"), Clock()
    rotating = Rotating(secrets, REF, clock)
    for _ in range(100):
        rotating.values()
    assert secrets.looked == 1


@pytest.mark.parametrize("value", [None, ""], ids=["away", "empty"])
def test_what_cannot_be_read_is_as_it_was(value, caplog):
    secrets, clock = Changing("one"), Clock()
    rotating = Rotating(secrets, REF, clock)
    secrets.value = value
    clock.now += 5.0
    assert rotating.values() == ("one",)
    assert "a secret is taken as it was" in caplog.text
    assert "one" not in caplog.records[0].error


@pytest.mark.parametrize("value", [None, ""], ids=["away", "empty"])
def test_it_must_be_there_at_the_start(value):
    with pytest.raises(ConfigError):
        Rotating(Changing(value), REF)
