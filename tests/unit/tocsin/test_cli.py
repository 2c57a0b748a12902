"""The frame of the command line: verbs, help, exit codes."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from spine import output
from spine.errors import BusError, ConfigError
from tocsin import cli

ROOT = Path(cli.__file__).parent.parent


def _wrapped(exc: BaseException) -> RuntimeError:
    """Return what Python before 3.12 makes of an exception while a class is made."""
    made = RuntimeError("Error calling __set_name__")
    made.__cause__ = exc
    return made


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_has_help_with_its_own_words(verb):
    result = CliRunner().invoke(cli.cli, [verb, "--help"])

    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: cli {verb}")
    assert verb == "version" or "Examples:" in result.output


def test_the_verbs_are_listed_without_being_imported():
    code = (
        "import sys; from tocsin.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    )
    probe = "heavy = {'pydantic', 'aiohttp', 'nats', 'yaml', 'asyncio'} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}{probe}print(heavy)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.endswith("set()\n"), done.stdout
    for verb, text in cli.VERBS.items():
        assert verb in done.stdout
        assert text in done.stdout


def test_a_misspelt_verb_is_guessed(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["lnit"])

    assert ended.value.code == 2
    assert "Did you mean 'lint'?" in capsys.readouterr().err


CASES = [
    (ConfigError("reading x: wrong", hint="mend it"), 2, "tocsin: reading x: wrong (mend it)\n"),
    (BusError("publishing x: away"), 1, "tocsin: publishing x: away\n"),
    (ExceptionGroup("g", [ExceptionGroup("h", [BusError("away")])]), 1, "tocsin: away\n"),
    (KeyboardInterrupt(), 130, ""),
    (_wrapped(KeyboardInterrupt()), 130, ""),
    (OSError(errno.ENOSPC, "No space left"), 1, "tocsin: writing: No space left\n"),
    (click.UsageError("no"), 2, "no"),
]


@pytest.mark.parametrize(("error", "code", "said"), CASES, ids=repr)
def test_errors_become_exit_codes(monkeypatch, capsys, error, code, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)

    with pytest.raises(SystemExit) as ended:
        cli.main(["version"])

    assert ended.value.code == code
    found = capsys.readouterr().err
    assert found == said if said.startswith("tocsin") or not said else said in found


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bug"),
        OSError(errno.EBADF, "bug"),
        BrokenPipeError(errno.EPIPE, "not that of the output"),
        ExceptionGroup("g", [BusError("away"), ValueError("bug")]),
    ],
)
def test_a_bug_keeps_its_traceback(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)

    with pytest.raises(type(error)):
        cli.main(["version"])


UNREAD = [
    ["version"],
    ["--help"],
    ["lint", "--help"],
    ["lint", "examples/quickstart"],
    ["convert", "examples/quickstart"],
    ["test", "examples/quickstart"],
]


@pytest.mark.parametrize("words", UNREAD, ids=" ".join)
def test_what_nobody_reads_ends_without_a_word(words):
    assert _ended(words, stderr=subprocess.PIPE) == (141, "")


def test_errors_that_nobody_reads_end_likewise():
    assert _ended(["nonsense"], stderr=subprocess.STDOUT) == (141, None)


def _ended(words, stderr):
    """Return exit code and errors of a command whose output is a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as output:
        done = subprocess.run(
            [sys.executable, "-m", "tocsin", *words],
            cwd=ROOT, stdout=output, stderr=stderr, text=True, timeout=60, check=False,
        )  # fmt: skip
    return done.returncode, done.stderr


def test_an_unread_line_of_a_task_ends_it_likewise(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(output._State, "lost", False)

    def fail(*_, **__):
        raise ExceptionGroup("g", [BusError("closed"), ExceptionGroup("h", [BrokenPipeError()])])

    monkeypatch.setattr(cli.cli, "main", fail)
    with os.fdopen(writer, "w") as unread, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", unread)
        with pytest.raises(SystemExit) as ended:
            cli.main(["version"])

    assert ended.value.code == 141


def test_a_full_disk_is_told():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tocsin", "lint", "examples/quickstart"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (1, "tocsin: writing: No space left on device\n")


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("tocsin 0.")
