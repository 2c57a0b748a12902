"""Programs and texts of others, as the controller gets them: none stops it, in time or in memory.

What programs may do when they run is tried in tests/unit/spine/lang (test_lua_attacks, test_guard,
test_jq, test_sprig, test_regex) and by the fuzz tests.
"""

import contextlib
import resource
import subprocess
import sys

import pytest
import yaml

from sensor.yaml_body import to_json
from spine import safe_yaml
from spine.errors import ConfigError
from spine.lang import exprlang, gotemplate, govaluate, jq, lua, regex
from spine.manifest import read_text

COMPILERS = {
    "expr": exprlang.compile,
    "govaluate": govaluate.compile,
    "jq": jq.compile,
    "lua": lua.compile,
    "template": gotemplate.compile,
    "regex": regex.compile,
}
SECONDS = 25
"""Of the processor, for what takes less than one, as a bound that a slow machine keeps too."""

BOMBS = [
    ("expr", "9**9**9**9"),
    ("expr", "1..1000000000"),
    ("expr", 'repeat("x", 1000000000)'),
    ("expr", "(" * 20_000 + "1" + ")" * 20_000),
    ("expr", "-" * 50_000 + "1"),
    ("expr", "a" + "?.a" * 50_000),
    ("expr", '"a" matches "((a{1,1000}){1,1000}){1,1000}"'),
    ("govaluate", "(" * 20_000 + "1" + ")" * 20_000),
    ("govaluate", "2**2**2**2**99999"),
    ("govaluate", "!" * 50_000 + "true"),
    ("jq", "[" * 20_000 + "]" * 20_000),
    ("jq", "def f: f; f"),
    ("jq", "." + "|." * 50_000),
    ("jq", "def f0: 1; " + "".join(
        f"def f{i}: f{i - 1}, f{i - 1}; " for i in range(1, 60)) + "f59"),
    ("jq", "def f0(g): g; " + "".join(
        f"def f{i}(g): f{i - 1}(f{i - 1}(g)); " for i in range(1, 40)) + "f39(1)"),
    ("jq", 'test("((a{1,1000}){1,1000}){1,1000}")'),
    ("lua", "return " + "{" * 20_000),
    ("lua", "return 2^2" + "^2" * 20_000),
    ("lua", "do " * 20_000),
    ("template", "{{if .}}" * 20_000),
    ("template", '{{"x" ' + '| printf "%s" ' * 10_000 + "}}"),
    ("template", '{{define "a"}}{{template "a"}}{{end}}{{template "a"}}'),
    ("regex", "((a{1,1000}){1,1000}){1,1000}"),
    ("regex", "(" * 50_000),
    ("regex", r"(?:\pL{0,9}){0,99}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "program"), BOMBS, ids=[f"{name} {text[:16]}" for name, text in BOMBS]
)
def test_compiling_takes_no_time(language: str, program: str) -> None:
    """A Sensor is compiled in the controller; it is refused, or compiled, and that is soon."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with contextlib.suppress(ConfigError):
        COMPILERS[language](program)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < SECONDS


# ---------------------------------------------------------------------------- YAML


def nested(first: str, wrap: str, times: int, width: int) -> str:
    lines = [f"a0: &a0 {first}"]
    for number in range(1, times):
        inner = ", ".join([f"*a{number - 1}"] * width)
        lines.append(f"a{number}: &a{number} {wrap.format(inner)}")
    return "\n".join(lines)


YAML = [
    ("laughs", nested("[x]", "[{}]", 10, 9)),
    ("merges of nothing", nested("{}", "{{<<: [{}]}}", 9, 9)),
    ("merges", nested("{x: 1}", "{{<<: [{}]}}", 9, 9)),
    ("one wide merge", nested("{x: 1}", "{{<<: [{}]}}", 3, 2_000)),
    ("lists", "a: " + "[" * 100_000 + "]" * 100_000),
    ("dashes", "- " * 100_000 + "x"),
    ("maps", "\n".join(" " * depth + "a:" for depth in range(2_000))),
    ("itself", "a: &a [*a]"),
    ("digits", "a: " + "9" * 200_000),
]

_READ = """
import resource, sys
from spine.manifest import read_text
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
print(*(str(one)[:200] for one in read_text(sys.stdin.buffer.read(), "x.yaml").findings))
"""


@pytest.mark.parametrize(("name", "text"), YAML, ids=[name for name, _ in YAML])
def test_manifest_that_explodes_is_a_finding(name: str, text: str) -> None:
    """In a process of its own, as a parser in C may take its process with it."""
    done = subprocess.run(
        [sys.executable, "-c", _READ],
        check=False,
        input=text.encode(),
        capture_output=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert b"x.yaml:" in done.stdout


@pytest.mark.parametrize("name", ["merges", "one wide merge"])
def test_merges_of_events_and_settings_are_bounded(name: str) -> None:
    """Bodies of events come from anybody; settings of a bus are read by the controller."""
    text = dict(YAML)[name]
    with pytest.raises(yaml.YAMLError, match="merges make more than"):
        safe_yaml.load(text)
    with pytest.raises(ValueError, match="merges make more than"):
        to_json(text.encode())


def test_usual_merges_are_done() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, <<: *a}\nc: {<<: [*a, *b], z: 4}"
    assert safe_yaml.load(text) == yaml.safe_load(text)


def test_manifest_of_many_lines_is_read() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
    text += "".join(f"  k{number}: '{number}'\n" for number in range(5_000))
    assert len(read_text(text.encode(), "x.yaml").objects) == 1
