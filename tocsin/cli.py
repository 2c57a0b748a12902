"""The command line: `tocsin VERB`. Each verb is a file of its own, imported when it is called.

Exit codes: 0 all is well, 1 something failed (or a bug, with its traceback), 2 the user must
change a file or an option, 130 interrupted, 141 whoever read the output went away, 143 told to
stop before there was anything to finish.
"""

import errno
import importlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from typing_extensions import override

from spine import __version__, output
from spine.errors import ConfigError, Fault

WRONG, FAILED, INTERRUPTED, TOLD = 2, 1, 130, 143

VERBS = {
    "run": "Run a folder of manifests on this machine.",
    "lint": "Check manifests without a cluster.",
    "convert": "Write manifests of old in today's form.",
    "test": "Run golden cases: events in, actions out.",
    "explain": "Show why a Sensor fires on an event, or why not.",
    "eval": "Try one program of a manifest.",
    "send": "Put an event on the bus, as an event source would.",
    "tail": "Show events and actions live.",
    "why": "Show what a running Sensor made of its events.",
    "replay": "Show what a Sensor would do with events that came before.",
    "dlq": "List, show, retry and drop dead letters.",
    "notify": "Try notifications: who would be told what, and why.",
    "wait": "Wait until objects of a cluster are healthy.",
    "rbac": "Print the least rights that manifests need in a cluster.",
    "install": "Print all that runs in a cluster, for kubectl apply.",
    "eventsource": "Run one EventSource: what a pod runs.",
    "sensor": "Run one Sensor: what a pod runs.",
    "notifier": "Run one Notifier: what a pod runs.",
    "adopt": "Take the place of an Argo Events installation.",
    "controller": "Run all of a cluster: what its controller runs.",
    "version": "Show the version.",
}
PEER = frozenset({"eventsource-service", "sensor-service", "webhook-service"})
"""Commands of Argo Events' image; pods that its controller makes say them."""


class Verbs(click.Group):
    """A group whose commands are imported one by one, so that each starts fast."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in PEER:
            found = importlib.import_module("tocsin.peer").COMMANDS[cmd_name]
            assert isinstance(found, click.Command)
            return found
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"tocsin.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    @override
    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _broken_pipes_kept():  # --help prints
            return super().make_context(info_name, args, parent, **extra)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        with _broken_pipes_kept():
            return super().invoke(ctx)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        near = difflib.get_close_matches(args[0], VERBS, n=1) if args else []
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            if near:
                raise click.UsageError(f"{exc.message} Did you mean {near[0]!r}?", ctx) from exc
            raise


@contextmanager
def _broken_pipes_kept() -> Iterator[None]:
    """Keep a broken pipe from click, which ends with 1 whatever pipe it was."""
    try:
        yield
    except BrokenPipeError as exc:
        raise ExceptionGroup("writing", [exc]) from None


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Event-driven automation that runs Argo Events manifests, in a cluster and on a laptop.

    \b
    Try it:
      tocsin run examples/quickstart
      tocsin lint my-manifests/
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped


def main(args: list[str] | None = None) -> None:
    """Run a command and exit: errors in one line, bugs with their traceback."""
    signal.signal(signal.SIGTERM, _told)
    try:
        code = _code(args)
    except BrokenPipeError:
        if not output.give_up():
            raise
        code = output.GONE
    sys.exit(code or (output.GONE if output.is_lost() else 0))


def _told(_number: int, _frame: object) -> NoReturn:
    """End by SIGTERM, until a verb knows better.

    The first process of a container ignores it otherwise, so that a pod that is told to stop while
    it starts would go on, and be killed in the end. At once, as others do without a handler: an
    exception could end up anywhere, in the middle of an import for one.
    """
    os._exit(TOLD)


def _code(args: list[str] | None) -> int:
    """Run a command, say what failed, and return the exit code. Raises what is a bug."""
    try:
        code = _run(args)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ConfigError as exc:
        return _complain(exc, WRONG)
    except Fault as exc:
        return _complain(exc, FAILED)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        return _complain(Fault(f"writing: {exc.strerror}"), FAILED)
    return code if isinstance(code, int) else 0


def _run(args: list[str] | None) -> Any:
    """Run a command; an error that came out of a group of tasks is as good as alone."""
    try:
        return cli.main(args, prog_name="tocsin", standalone_mode=False)
    except RuntimeError as exc:  # Python before 3.12 wraps what comes while a class is made
        if isinstance(exc.__cause__, KeyboardInterrupt):
            raise exc.__cause__ from None
        raise
    except BaseExceptionGroup as group:
        if group.split((Fault, KeyboardInterrupt, BrokenPipeError))[1] is not None:
            raise
        found = list(_leaves(group))
        broken = (one for one in found if isinstance(one, BrokenPipeError))
        raise next(broken, found[0]) from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _complain(exc: Fault, code: int) -> int:
    click.echo(f"tocsin: {exc}", err=True)
    logging.getLogger(__name__).debug("stopped", exc_info=exc)
    return code
