"""`tocsin eval`: try one program of a manifest."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from spine.errors import ConfigError
from tocsin.output_option import output_option

FAILED = 1


@click.command("eval")
@click.argument("language", required=False, default="", metavar="[LANGUAGE]")
@click.argument("program", required=False, default=None, metavar="[PROGRAM|@FILE]")
@click.option(
    "-d",
    "--data",
    default="",
    metavar="JSON|@FILE|-",
    help="What the program works on: JSON text, @FILE, or - for standard input.",
)
@click.option(
    "--fields", is_flag=True, help="Show which field of a manifest speaks which language."
)
@output_option("The value alone, or one JSON object with its type.")
@click.pass_context
def command(
    ctx: click.Context, language: str, program: str | None, data: str, fields: bool, output: str
) -> None:
    """Try one path, program, expression, template or pattern of a manifest.

    Prints what it gives; its type and what is odd about it go to standard error. The engine is the
    one that runs it in a sensor, within its limits. Without arguments the languages are listed.

    Exits with 1 if the program fails on the data, with 2 if it is wrong.

    \b
    Examples:
      tocsin eval --fields
      tocsin eval gjson body.items.#.id -d @event.json
      tocsin eval jq '{total: .body.total}' -d '{"body": {"total": 25}}'
      tocsin eval template 'Order {{ .Input.id }}' -d '{"id": 42}'
      tocsin eval cron '0 9 * * 1-5'
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.languages import LANGUAGES

    if fields or not language:
        _list(output)
        return
    chosen = LANGUAGES.get(language)
    if chosen is None:
        raise ConfigError(f"choosing language {language!r}: {_near(language, list(LANGUAGES))}")
    if program is None:
        raise ConfigError(f"evaluating {language}: no program is given")
    given = _content(data, "--data") if data else b""
    if chosen.data and not data and language != "conditions":
        raise ConfigError(f"evaluating {language}: it works on {chosen.data}", hint="give it as -d")
    text = _content(program, "program").decode() if program.startswith("@") else program
    ctx.exit(_try(chosen, text, given, output))


def _try(language: Any, program: str, data: bytes, output: str) -> int:
    from spine.lang import EvaluationError, pointing
    from tocsin.languages import tried

    try:
        found = asyncio.run(tried(language, program, data))
    except EvaluationError as exc:
        click.echo(f"tocsin: {exc}", err=True)
        return FAILED
    except ConfigError as exc:
        if not (mark := pointing.mark(program, exc.message)):
            raise
        raise ConfigError(f"{exc}\n{mark}") from exc
    if output == "json":
        shown = {"value": found.value, "type": found.type}
        shown |= {"note": found.note} if found.note else {}
        try:
            click.echo(json.dumps(shown, allow_nan=False))
        except ValueError:  # a number beyond a double, which JSON may hold and no reader takes
            click.echo(json.dumps(shown | {"value": found.raw or str(found.value)}))
        return 0
    click.echo(found.raw or _text(found.value))
    note = f": {found.note}" if found.note else ""
    click.echo(click.style(f"{found.type}{note}", dim=True), err=True)
    return 0


def _text(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)


def _content(text: str, what: str) -> bytes:
    if text in {"-", "@-"}:
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading {what} {text[1:]}: {exc.strerror}") from exc


def _near(word: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}" if near else f"there are {', '.join(known)}"


def _list(output: str) -> None:
    from tocsin.languages import LANGUAGES
    from tocsin.spoken import fields, short

    found = fields()
    if output == "json":
        for field in found:
            click.echo(json.dumps(field._asdict()))
        return
    for language in LANGUAGES.values():
        name = click.style(f"{language.name:<11}", bold=True)
        click.echo(f"{name} {language.about}")
        of_it = [field for field in found if field.language == language.name]
        for kind in dict.fromkeys(field.kind for field in of_it):
            for path in short([field.path for field in of_it if field.kind == kind]):
                click.echo(f"{'':12}{kind} {path}")
    click.echo("what notifications speak is tried with: tocsin notify")
