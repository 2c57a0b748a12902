"""`streamConfig`: every value is read for what it says, or refused."""

import pytest

from eventbus.settings import StreamSettings, size
from spine.errors import ConfigError

HOUR = 3600.0


def parse(text: str, **options) -> StreamSettings:
    return StreamSettings.parse(text, on_warning=pytest.fail, **options)


def test_nothing_said_is_ours():
    for text in ("", "\n", "{}", "maxMsgs:"):
        assert parse(text) == StreamSettings(max_age=168 * HOUR, duplicates=300.0)


def test_what_argo_events_ships():
    text = "maxMsgs: 50000\nmaxAge: 168h\nmaxBytes: -1\nreplicas: 3\nduplicates: 300s\n"
    text += "retention: 0\ndiscard: 0"
    want = StreamSettings(50_000, -1, 168 * HOUR, 3, 300.0, "limits", "old")
    assert parse(text) == want


def test_keys_in_any_case_as_the_controller_writes_them():
    text = "discard: 1\nduplicates: 5m\nmaxage: 24h\nmaxbytes: 1GB\nmaxmsgs: 7\nreplicas: 1"
    assert parse(text) == StreamSettings(7, 1024**3, 24 * HOUR, 1, 300.0, "limits", "new")


def test_what_is_not_said_is_as_the_defaults():
    assert parse("maxAge: 1h", defaults=StreamSettings(max_bytes=5)).max_bytes == 5


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("1073741824", 1024**3),
        (1024, 1024),
        ("1GB", 1024**3),
        ("1gb", 1024**3),
        ("1Gi", 1024**3),
        ("1GiB", 1024**3),
        ("1G", 1000**3),
        ("500M", 500 * 1000**2),
        ("512Mi", 512 * 1024**2),
        ("1.5KB", 1536),
        ("64 KB", 65536),
        ("2TB", 2 * 1024**4),
        ("10B", 10),
        (0, -1),
        (-1, -1),
        ("-1", -1),
    ],
)
def test_sizes(value, want):
    assert size("maxBytes", value) == want


@pytest.mark.parametrize("value", ["", "GB", "1XB", "1 2", "one", True, None, [1]])
def test_what_is_no_size(value):
    with pytest.raises(ConfigError, match=r"reading maxBytes .*: not a size \(write 1GB"):
        size("maxBytes", value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("maxAge: 7d", r"streamConfig.maxAge '7d': not a number with a unit.*there are no days"),
        ("maxAge: 3600", r"3\.6e-06 s is less than the server takes.*nanoseconds"),
        ("maxAge: true", r"streamConfig.maxAge True: not a duration"),
        ("maxAge: [1]", r"not a duration"),
        ("maxMsgs: many", r"streamConfig.maxMsgs 'many': not a whole number"),
        ("maxMsgs: 1.5", r"not a whole number"),
        ("maxBytes: big", r"streamConfig.maxBytes 'big': not a size"),
        ("replicas: 7", r"streamConfig.replicas 7: JetStream keeps"),
        ("retention: 3", r"streamConfig.retention 3: not one of 0 \(limits\), 1 \(interest\)"),
        ("discard: older", r"streamConfig.discard 'older': not one of 0 \(old\), 1 \(new\)"),
        ("maxMsgs 5", r"not a list of `key: value`"),
        ("a: [", r"not YAML"),
    ],
)
def test_bad_values_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_nanoseconds_as_go_has_them():
    assert parse("maxAge: 3600000000000").max_age == HOUR
    assert parse('duplicates: "1000000000"').duplicates == 1.0


def test_zero_is_without_limit():
    found = parse("maxMsgs: 0\nmaxBytes: 0\nmaxAge: 0\nreplicas: 0")
    assert found == StreamSettings(-1, -1, 0.0, 1)


def test_names_for_numbers():
    assert parse("retention: Interest\ndiscard: new") == StreamSettings(
        retention="interest", discard="new"
    )


def test_a_work_queue_would_break_sensors_and_is_not_made():
    warnings: list[str] = []
    found = StreamSettings.parse("retention: 2", on_warning=warnings.append)
    assert found.retention == "limits"
    assert "only one Sensor" in warnings[0]


def test_unknown_keys_are_told():
    warnings: list[str] = []
    StreamSettings.parse("maxMessages: 5", on_warning=warnings.append)
    assert "unknown key 'maxMessages' ignored (known: maxMsgs" in warnings[0]


def test_for_a_disk_what_is_used_already_counts(tmp_path):
    before = StreamSettings.for_disk(tmp_path).max_bytes
    assert before > 0
    (tmp_path / "block").write_bytes(b"x" * 1000)
    assert StreamSettings.for_disk(tmp_path).max_msgs == -1
