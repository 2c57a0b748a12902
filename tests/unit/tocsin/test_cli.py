"""The frame of the command line: verbs, help, exit codes."""

import errno
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from spine.errors import BusError, ConfigError
from tocsin import cli


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
    (BrokenPipeError(), 1, ""),
    (OSError(errno.ENOSPC, "No space left"), 1, "tocsin: writing: No space left\n"),
    (click.UsageError("no"), 2, "no"),
]


@pytest.mark.parametrize(("error", "code", "said"), CASES, ids=repr)
def test_errors_become_exit_codes(monkeypatch, capsys, error, code, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    monkeypatch.setattr(cli.sys, "stderr", cli.sys.stderr)
    closed = []
    monkeypatch.setattr(type(cli.sys.stderr), "close", lambda _: closed.append(1), raising=False)

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
        ExceptionGroup("g", [BusError("away"), ValueError("bug")]),
    ],
)
def test_a_bug_keeps_its_traceback(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)

    with pytest.raises(type(error)):
        cli.main(["version"])


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("tocsin 0.")
