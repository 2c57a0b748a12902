"""A question before something is done that cannot be taken back.

It is asked on standard error, so that output stays what it is. Where nobody can answer, as in a
pipeline, that is a mistake with a way out and not an interruption.
"""

import signal

import click

from spine.errors import ConfigError


def agreed(question: str) -> bool:
    """Ask, and return the answer. Raises ConfigError at the end of input, Abort on Ctrl-C.

    Called by the main thread, it may stand in a coroutine: that the loop stands still is meant,
    and asyncio's own handling of Ctrl-C would wait for the answer.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, err=True)
    except click.Abort as exc:
        if not isinstance(exc.__context__, EOFError):
            raise
        click.echo(err=True)
        raise ConfigError(
            f"asking {question!r}: nobody answers, so nothing was done",
            hint="give --yes where it is not to be asked",
        ) from exc
    finally:
        signal.signal(signal.SIGINT, handler)
