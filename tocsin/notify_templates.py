"""`tocsin notify template`: what a template makes of an object, shown or sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from spine.errors import ConfigError
from tocsin.asking import agreed
from tocsin.notifying.options import (
    DONE,
    NOTHING,
    choice_of,
    event_option,
    input_options,
    print_json,
    print_lines,
    with_inputs,
)
from tocsin.output_option import ONE_OBJECT, output_option

if TYPE_CHECKING:
    from tocsin.notifying.finding import Inputs
    from tocsin.notifying.messages import Preview, Rendering


class _Templates(click.Group):
    """The commands of templates; `notify` is what peers call `send`."""

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, "send" if cmd_name == "notify" else cmd_name)


@click.group("template", cls=_Templates)
def template() -> None:
    """Templates: what people are told."""


@template.command("preview")
@click.argument("words", nargs=-1, required=True, metavar="NAME... OBJECT")
@input_options
@event_option
@click.option("--service", default="", metavar="NAME", help="One service, or a type: slack.")
@click.option("--recipient", default="", metavar="WHO", help="What .recipient is.")
@click.option("--resolved", is_flag=True, help="As the news that it is over.")
@click.option("--html", default="", metavar="FILE", help="Write the messages as a page; - is here.")
@output_option(ONE_OBJECT)
@click.pass_context
def preview(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    service: str,
    recipient: str,
    resolved: bool,
    html: str,
    output: str,
    **options: Any,
) -> None:
    """Render templates for an object, as the readers of each service would see it.

    Several names are put together, as `send` of a condition does. Without --service it is shown
    for each service of the configuration; a type that is not configured may be named, too. Values
    of the Secret are shown as ***.

    Exits with 0, with 1 if a message cannot be rendered, with 2 for wrong input.

    \b
    Examples:
      tocsin notify template preview failed pod.yaml -f notifications/ --service slack
      tocsin notify template preview failed pod/web -n shop --html mail.html
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.notifying.messages import Rendering

    names, target = _names_and_object(words)

    async def work(given: "Inputs") -> int:
        rendering = Rendering.of(given, names, resolved=resolved)
        found = rendering.previews(service, recipient)
        if html:
            _write_page(html, names, found)
        if output == "json":
            shown = {"object": rendering.subject.name, "templates": list(names)}
            note = rendering.note
            print_json({**shown, "note": note, "messages": [one.json() for one in found]})
        elif html != "-":
            _print_previews(rendering, found)
        return NOTHING if any(one.problem for one in found) else DONE

    ctx.exit(with_inputs(choice_of(options), target, work))


def _names_and_object(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    *names, target = words
    if not names:
        raise click.UsageError(f"{target}: give NAME... OBJECT, the template and the object.")
    return tuple(names), target


def _write_page(html: str, names: tuple[str, ...], found: "list[Preview]") -> None:
    from notifier.html import page

    text = page(", ".join(names), (one.letter() for one in found))
    if html == "-":
        click.echo(text)
        return
    try:
        Path(html).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"writing --html {html}: {exc.strerror}") from exc
    click.echo(f"written to {html}", err=True)


def _print_previews(rendering: "Rendering", found: "list[Preview]") -> None:
    from tocsin.notifying.words import warned

    if rendering.note:
        click.echo(warned("note", rendering.note))
    for index, one in enumerate(found):
        if index:
            click.echo()
        print_lines(one.lines())


@template.command("send")
@click.argument("words", nargs=-1, required=True, metavar="NAME... OBJECT")
@input_options
@event_option
@click.option(
    "--recipient",
    default="console:stdout",
    show_default=True,
    metavar="SERVICE:WHO",
    help="Whom to tell; user:NAME and group:NAME are looked up.",
)
@click.option("--resolved", is_flag=True, help="As the news that it is over.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option(ONE_OBJECT)
@click.pass_context
def send(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    recipient: str,
    resolved: bool,
    yes: bool,
    output: str,
    **options: Any,
) -> None:
    """Really send a template's message for an object; it is shown first, and asked about.

    Other tools call it `template notify`, a word that works as well. Triggers, quiet hours and
    limits do not matter, and nothing is remembered of it. The default prints the message.

    Exits with 0 if it was sent, with 1 if it was refused or not wanted, with 2 for wrong input.

    \b
    Examples:
      tocsin notify template send failed pod.yaml -f notifications/
      tocsin notify template send failed pod/web -n shop --recipient slack:#dev
      tocsin notify template send failed pod.yaml -f . --recipient email:me@example.com --yes
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.notifying.messages import Rendering

    names, target = _names_and_object(words)

    async def work(given: "Inputs") -> int:
        rendering = Rendering.of(given, names, resolved=resolved)
        found = rendering.letters(recipient)
        asked = not yes and any(one.model.kind != "console" for one in found)
        if asked and not _agreed(rendering, found):
            return NOTHING
        answers = [(one, await rendering.send(one)) for one in found]
        _print_sent(answers, output)
        return DONE

    ctx.exit(with_inputs(choice_of(options), target, work))


def _agreed(rendering: "Rendering", found: "list[Preview]") -> bool:
    """Show what is about to be sent, and ask."""
    from tocsin.notifying.words import whom

    _print_previews(rendering, found)
    everybody = ", ".join(whom(one.service, one.recipient) for one in found)
    return agreed(f"Send this to {everybody}?")


def _print_sent(answers: "list[tuple[Preview, str]]", output: str) -> None:
    from tocsin.notifying.words import whom

    if output == "json":
        keys = [
            {"service": one.service, "recipient": one.recipient, "answer": answer}
            for one, answer in answers
        ]
        print_json({"sent": keys})
        return
    for one, answer in answers:
        click.echo(f"sent to {whom(one.service, one.recipient)}: {answer}", err=True)
