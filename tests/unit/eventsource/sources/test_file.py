"""The file source without a file system: its configuration, comparisons, and what is remembered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsource.files import changes
from eventsource.files.changes import ADDED, DELETED, MODIFIED, compared, listed, moved, noticed
from eventsource.files.changes import polled as polled_changes
from eventsource.files.folder import ITSELF, Mark
from eventsource.files.happening import FileEvent, mask_of
from eventsource.files.known import MOST, Known
from eventsource.sources.file import File
from spine.errors import BusError
from spine.model import InvalidModel, load

C, W, R, N, M = 1, 2, 4, 8, 16
FILE, FOLDER, LINK = 0o100644, 0o040755, 0o120777


def read(**raw: Any) -> tuple[File, list[str]]:
    warnings: list[str] = []
    path = raw.pop("watchPathConfig", {"directory": "/data/", "path": "a"})
    given = {"eventType": "CREATE", "watchPathConfig": path, **raw}
    return load(File, given, on_warning=warnings.append), warnings


# ---------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"eventType": ""}, "'' is none of CREATE, WRITE, REMOVE, RENAME, CHMOD, MOVE"),
        ({"eventType": "CREATED"}, "'CREATED' is none of CREATE"),
        ({"watchPathConfig": {"directory": "data", "path": "a"}}, "must be an absolute path"),
        ({"watchPathConfig": {"directory": "/d"}}, "needs path or pathRegexp"),
        (
            {"watchPathConfig": {"directory": "/d", "path": "a", "pathRegexp": "b"}},
            "needs path or pathRegexp, and not both",
        ),
        ({"watchPathConfig": {"directory": "/d", "path": "/a"}}, "must be relative to directory"),
        ({"watchPathConfig": {"directory": "/d", "pathRegexp": "a("}}, "'a('"),
        ({"watchPathConfig": {"directory": "/d", "pathRegexp": "(?=a)"}}, "'(?=a)'"),
        ({"watchPathConfig": {"path": "a"}}, "directory: required field is missing"),
        ({"filter": {"expression": "name =="}}, "it ends too early"),
        ({"poling": True}, "did you mean polling"),
    ],
)
def test_refused(raw, message):
    with pytest.raises(InvalidModel) as caught:
        read(**raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        ({"eventType": "CREATE|WRITE"}, "Argo Events never matches it"),
        ({"eventType": "create"}, "Argo Events never matches it"),
        ({"eventType": "MOVE"}, "MOVE never happens here"),
        ({"watchPathConfig": {"directory": "/d", "path": "a"}}, "write /d/"),
        ({"watchPathConfig": {"directory": "/d", "pathRegexp": "^a"}}, "write /d/"),
        ({"watchPathConfig": {"directory": "/d/", "path": "a/b"}}, "never matches"),
    ],
)
def test_taken_with_a_warning(raw, warning):
    assert any(warning in w for w in read(**raw)[1])


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"eventType": "CHMOD"},
        {"watchPathConfig": {"directory": "/d", "pathRegexp": "^/a"}},
        {"watchPathConfig": {"directory": "/d", "path": "a"}, "polling": True},
    ],
)
def test_taken_without_a_warning(raw):
    assert read(**raw)[1] == []


@pytest.mark.parametrize(
    ("directory", "given", "matching", "other"),
    [
        ("/d/", {"path": "x.txt"}, "x.txt", "ax.txt"),
        ("/d", {"path": "x.txt"}, "x.txt", "/x.txt"),
        ("/d/", {"pathRegexp": "^x"}, "x.txt", "ax.txt"),
        ("/d", {"pathRegexp": "^x"}, "x.txt", "ax.txt"),
        ("/d", {"pathRegexp": "^/x"}, "x.txt", "ax.txt"),
        ("/d/", {"pathRegexp": "b.*d"}, "abcde", "acde"),
    ],
)
def test_which_files_count(directory, given, matching, other):
    counts = read(watchPathConfig={"directory": directory, **given})[0].watch_path_config.by_rest()
    assert counts(matching)
    assert not counts(other)


def test_regexp_with_the_slash_of_the_directory_takes_none_more():
    config = {"directory": "/d/", "pathRegexp": "^/x"}
    assert not read(watchPathConfig=config)[0].watch_path_config.by_rest()("x")


@pytest.mark.parametrize(
    ("directory", "folder"),
    [("/d/", "/d"), ("/d", "/d"), ("//d/./e//", "/d/e"), ("/", "/"), ("/a/../b/", "/b")],
)
def test_directory_without_what_it_can_do_without(directory, folder):
    config = {"directory": directory, "path": "a"}
    assert read(watchPathConfig=config)[0].watch_path_config.folder == folder


def test_bits():
    assert mask_of("CREATE|chmod") == C | M
    assert mask_of("MOVE") == 0


@pytest.mark.parametrize(
    ("name", "metadata", "encoded"),
    [
        ("/d/a", b"null", b'{"name":"/d/a","op":2,"metadata":null}'),
        ("<&>", b'{"a":"b"}', b'{"name":"\\u003c\\u0026\\u003e","op":2,"metadata":{"a":"b"}}'),
    ],
)
def test_payload(name, metadata, encoded):
    assert FileEvent(name, W, metadata).encode() == encoded


# ---------------------------------------------------------------------------- comparisons


def mark(file: int, size: int = 1, written: int = 0, mode: int = FILE, **more: int) -> Mark:
    return Mark(file, size, written, more.get("changed", written), mode, more.get("touched", 0))


def told(found: list[changes.Change[Mark]]) -> list[tuple[str, int]]:
    return [(change.name, op) for change in found for op in change.ops]


A, AD, D = ADDED, ADDED | DELETED, DELETED


@pytest.mark.parametrize(
    ("notices", "known", "now", "expected"),
    [
        pytest.param({"a": A}, {}, {"a": mark(1, 0)}, [("a", C)], id="empty file"),
        pytest.param({"a": A}, {}, {"a": mark(1)}, [("a", C), ("a", W)], id="with content"),
        pytest.param({"a": A}, {}, {"a": mark(1, mode=FOLDER)}, [("a", C)], id="folder"),
        pytest.param({"a": A}, {}, {"a": mark(1, mode=LINK)}, [("a", C)], id="link"),
        pytest.param({"a": A}, {}, {"a": None}, [("a", C)], id="gone before we looked"),
        pytest.param({"a": AD}, {}, {"a": None}, [("a", C), ("a", R)], id="came and went"),
        pytest.param({"a": D}, {}, {"a": None}, [("a", R)], id="went, seen before"),
        pytest.param({"a": D}, {"a": mark(1)}, {"a": None}, [("a", R)], id="removed"),
        pytest.param(
            {"a": AD}, {"a": mark(1)}, {"a": mark(1, written=9)},
            [("a", R), ("a", C), ("a", W)], id="made anew with the same number",
        ),
        pytest.param(
            {"a": D}, {"a": mark(1)}, {"a": mark(2)}, [("a", R)], id="its notice is on the way",
        ),
        pytest.param(
            {"a": A}, {"a": mark(1)}, {"a": mark(2)}, [("a", C), ("a", W)], id="saved atomically",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1, 2)}, [("a", W)], id="longer",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1, written=5)}, [("a", W)], id="rewritten",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1, written=5, touched=1)},
            [("a", M)], id="touched",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1, mode=0o100600)}, [("a", M)], id="mode",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1, changed=7)}, [("a", M)], id="owner",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1, 2, mode=0o100600)},
            [("a", W), ("a", M)], id="both",
        ),
        pytest.param(
            {"a": MODIFIED}, {"a": mark(1)}, {"a": mark(1)}, [("a", W)], id="twice in a tick",
        ),
        pytest.param({"a": MODIFIED}, {"a": mark(1)}, {"a": None}, [("a", W)], id="then gone"),
        pytest.param({"a": A}, {"a": mark(1)}, {"a": mark(1)}, [], id="a scan was faster"),
        pytest.param(
            {"a": D, "b": A}, {"a": mark(1)}, {"a": None, "b": mark(1)},
            [("a", N), ("b", C)], id="renamed",
        ),
        pytest.param(
            {"a": D, "b": A}, {"a": mark(1)}, {"a": None, "b": mark(1, written=9)},
            [("a", R), ("b", C), ("b", W)], id="its number was given to the next",
        ),
    ],
)  # fmt: skip
def test_notices(notices, known, now, expected):
    gone = {name: known[name] for name in notices if notices[name] & D and name in known}
    here = {name: one for name, one in now.items() if one is not None}
    assert told(noticed(notices, known, now, moved(gone, known, here))) == expected


def test_a_name_that_shares_its_file_is_removed():
    known = {"a": mark(1), "b": mark(1)}
    assert moved({"a": mark(1)}, known, {"b": mark(1)}) == set()


NAMES = st.sampled_from("abcdef")
MARKS = st.builds(
    mark,
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([FILE, FOLDER, LINK]),
    changed=st.integers(0, 3),
    touched=st.integers(0, 1),
)
FOLDERS = st.dictionaries(NAMES, MARKS)


@given(FOLDERS, FOLDERS)
@pytest.mark.parametrize("compare", [compared, polled_changes, listed])
def test_after_its_changes_what_is_known_is_what_is(compare, before, after):
    known = dict(before)
    for change in compare(before, after):
        if change.mark is None:
            known.pop(change.name)
        else:
            known[change.name] = change.mark
    assert known == after
    assert compare(known, after) == []


@given(FOLDERS, FOLDERS)
def test_every_name_that_came_or_went_is_told(before, after):
    found = told(compared(before, after))
    assert {name for name, op in found if op in {R, N}} == before.keys() - after.keys()
    assert {name for name, op in found if op == C} >= after.keys() - before.keys()


@given(FOLDERS, FOLDERS)
def test_a_listing_tells_what_is_gone_first(before, after):
    ops = [op for _, op in told(listed(before, after))]
    assert ops == sorted(ops, reverse=True)


def test_folder_itself_is_a_file_of_polling_only():
    before, after = {ITSELF: mark(1)}, {ITSELF: mark(1, written=9)}
    assert told(polled_changes(before, after)) == [(ITSELF, W)]
    assert compared(before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": mark(1)}, {"b": mark(1)}, [("a", N)]),
        ({}, {"a": mark(1)}, [("a", C)]),
        ({"a": mark(1)}, {}, [("a", R)]),
        ({"a": mark(1)}, {"a": mark(2, written=3)}, [("a", W)]),
        ({"a": mark(1)}, {"a": mark(1, mode=0o100600, written=4)}, [("a", W), ("a", M)]),
        ({"a": mark(1)}, {"a": mark(1, changed=4)}, []),
    ],
)
def test_polling(before, after, expected):
    assert told(polled_changes(before, after)) == expected


# ---------------------------------------------------------------------------- memory


class Store:
    """A memory of the bus, which may fail at a write."""

    def __init__(self, values: dict[str, bytes] | None = None, name: str = "") -> None:
        self.values = {} if values is None else values
        self.name = name
        self.fails_at: list[int] = []

    def part(self, name: str) -> "Store":
        one = Store(self.values, name)
        one.fails_at = self.fails_at
        return one

    async def get(self) -> bytes | None:
        return self.values.get(self.name)

    async def put(self, value: bytes) -> None:
        if self.fails_at:
            self.fails_at[0] -= 1
            if self.fails_at[0] < 0:
                raise BusError("putting: no answer")
        self.values[self.name] = value


def known_of(store: Store, purpose: str = "/data") -> Known[Mark]:
    return Known(("es", "ev"), store, purpose, Mark)


async def test_what_is_remembered_is_what_was_known():
    store = Store()
    first = known_of(store)
    assert not await first.load()
    first.begin({str(n): mark(n) for n in range(500)})
    await first.write()
    first.put("7", None)
    first.put("new", mark(9, 5))
    await first.write()
    second = known_of(store)
    assert await second.load()
    assert second.marks == first.marks
    assert isinstance(second.marks["new"], Mark)


async def test_another_folder_is_begun_anew():
    store = Store()
    first = known_of(store)
    first.begin({"a": mark(1)})
    await first.write()
    assert not await known_of(store, "/other").load()


@pytest.mark.parametrize("writes", range(66))
async def test_a_beginning_that_was_cut_short_is_none(writes):
    store = Store()
    old = known_of(store, "/other")
    old.begin({str(n): mark(n) for n in range(500)})
    await old.write()
    store.fails_at.append(writes)
    first = known_of(store)
    first.begin({str(n): mark(n) for n in range(500)})
    with pytest.raises(BusError):
        await first.write()
    store.fails_at.clear()
    assert not await known_of(store).load()
    await first.write()
    assert await known_of(store).load()


async def test_unreadable_memory_is_begun_anew(caplog):
    store = Store()
    first = known_of(store)
    first.begin({"a": mark(1)})
    await first.write()
    store.values["head"] = b"{"
    assert not await known_of(store).load()
    assert "starting anew" in caplog.text


async def test_a_change_found_twice_is_one_event_and_one_that_happens_twice_is_two():
    store = Store()
    first = known_of(store)
    first.begin({})
    await first.write()
    made = first.id(C, "a", mark(1))
    again = known_of(store)  # after a crash
    await again.load()
    assert again.id(C, "a", mark(1)) == made
    assert again.id(C, "a", mark(1)) != made  # it went in between
    again.put("a", mark(1))
    await again.write()
    assert again.id(C, "a", mark(1)) != made
    assert again.id(C, "b", mark(1)) != made
    assert again.id(R, "a", mark(1)) != made
    assert first.id(C, "a", None) is None


async def test_too_many_files_are_not_remembered(monkeypatch, caplog):
    monkeypatch.setattr("eventsource.files.known.MOST", 3)
    store = Store()
    first = known_of(store)
    first.begin({str(n): mark(n) for n in range(4)})
    for n in (5, 6):
        await first.write()
        first.put(str(n), mark(n))
    assert caplog.text.count("too many files") == 1
    assert not await known_of(store).load()
    for n in (3, 5, 6):
        first.put(str(n), None)
    await first.write()
    again = known_of(store)
    assert await again.load()
    assert again.marks == first.marks
    assert MOST == 100_000


async def test_without_a_memory_nothing_is_kept_and_ids_are_new():
    known = Known(("es", "ev"), None, "/data", Mark)
    assert not await known.load()
    known.begin({"a": mark(1)})
    await known.write()
    assert known.id(C, "a", mark(1)) is None


def test_example_is_json():
    assert json.loads(File.example.encode()) == {
        "name": "/data/reports/sales.csv",
        "op": 1,
        "metadata": None,
    }
