"""`tocsin notify`: try notifications before anybody is told."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.bus_options import bus_options
from tocsin.notify_templates import template
from tocsin.notifying.options import (
    DONE,
    NOTHING,
    WRONG,
    choice_of,
    event_option,
    full_option,
    input_options,
    print_json,
    print_lines,
    with_inputs,
)
from tocsin.output_option import ONE_OBJECT, output_option

if TYPE_CHECKING:
    from tocsin.notifying.finding import Inputs


@click.group("notify")
def command() -> None:
    """Try notifications: triggers, templates, and what an object would lead to.

    OBJECT is a file with a Kubernetes object (FILE#KIND/NAME where it has several), - for standard
    input, or KIND/NAME of the cluster. The configuration comes from manifests (-f PATH), from
    --config-map and --secret, or else from the Notifiers of the cluster; with files for both
    nothing is asked of a cluster. Nothing is sent but by `template send`; a repo-server is not
    asked, so that functions of `repo` which need one give empty values.

    \b
    Examples:
      tocsin notify explain pod/web -n shop
      tocsin notify trigger run on-failed pod.yaml -f notifications/
      tocsin notify template preview failed pod.yaml -f notifications/ --service slack
      kubectl get app shop -o yaml | tocsin notify trigger run on-degraded - \\
        --config-map argocd-notifications-cm.yaml --secret :empty
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped


@command.group("trigger")
def trigger() -> None:
    """Triggers: conditions on objects."""


command.add_command(template)


# ---------------------------------------------------------------------------- what there is


def _listing(family: Any, about: str) -> None:
    """Add `get` to a group."""

    @{"trigger": trigger, "template": template}[family].command("get", help=about)
    @click.argument("name", required=False, default="")
    @input_options
    @output_option(ONE_OBJECT)
    def run(name: str, output: str, **options: Any) -> None:
        from tocsin.notifying.listing import listed, others

        async def work(given: "Inputs") -> None:
            entries = listed(given.found, family, name)
            rest = [] if name else list(others(given.found))
            if output == "json":
                shown: dict[str, Any] = {f"{family}s": [one.json() for one in entries]}
                if not name:
                    shown["problems"] = [{"severity": s, "message": m} for s, m in rest]
                print_json(shown)
                return
            for one in entries:
                print_lines(one.lines(full=bool(name)))
            if not entries:
                click.echo(f"no {family}s", err=True)
            print_lines(_warnings(rest))

        with_inputs(choice_of(options), "", work)


_listing(
    "trigger",
    """List triggers, or show one, with what is wrong with them.

    \b
    Examples:
      tocsin notify trigger get -f notifications/
      tocsin notify trigger get on-failed --config-map argocd/argocd-notifications-cm
    """,
)
_listing(
    "template",
    """List templates, or show one, with what is wrong with them.

    \b
    Examples:
      tocsin notify template get -f notifications/
      tocsin notify template get failed -f notifications/ -o json
    """,
)


def _warnings(found: Iterable[tuple[str, str]]) -> Iterable[str]:
    from tocsin.notifying.words import warned

    return [warned(severity, text) for severity, text in found if severity != "note"]


# ---------------------------------------------------------------------------- triggers


@trigger.command("run")
@click.argument("name")
@click.argument("target", metavar="OBJECT")
@input_options
@event_option
@full_option
@output_option(ONE_OBJECT)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also where no condition is met.")
@click.pass_context
def run_trigger(
    ctx: click.Context,
    /,
    name: str,
    target: str,
    full: bool,
    output: str,
    exit_zero: bool,
    **options: Any,
) -> None:
    """Hold each condition of a trigger against an object.

    A condition is met, not met, or cannot be evaluated; where it is not met the value of each part
    of it is shown. Then follows what would be sent to whom, as if nothing had been told before.

    Exits with 0 if some condition is met, with 1 if none is, with 2 for wrong input.

    \b
    Examples:
      tocsin notify trigger run on-failed pod.yaml -f notifications/
      tocsin notify trigger run on-degraded app/shop -n argocd --config-map argocd-notifications-cm
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.notifying.running import Run

    async def work(given: "Inputs") -> int:
        run = Run(given, name, time.time())
        if output == "json":
            print_json(run.json())
        else:
            print_lines(run.lines(full=full))
        return DONE if run.met or exit_zero else NOTHING

    ctx.exit(with_inputs(choice_of(options), target, work))


# ---------------------------------------------------------------------------- explain, validate


@command.command("explain")
@click.argument("target", metavar="OBJECT")
@input_options
@event_option
@full_option
@output_option(ONE_OBJECT)
@bus_options
@click.pass_context
def explain(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    /,
    target: str,
    full: bool,
    output: str,
    folder: Path,
    bus: str,
    bus_name: str,
    **options: Any,
) -> None:
    """Show all that notifiers make of an object, and why.

    Which Notifier takes it, its health, each subscription and where it comes from, each condition
    with its outcome, what was sent when and to whom, and what would be sent now. What was sent is
    known by the bus: that of the `tocsin run` in this folder, of --state or of --bus. Without one
    it is shown as if nothing had been sent before.

    Exits with 0, with 1 if no Notifier takes the object, with 2 for wrong input.

    \b
    Examples:
      tocsin notify explain pod/web -n shop
      tocsin notify explain pod/web -n shop -f notifications/ --bus nats://127.0.0.1:4222
      kubectl get deploy web -o yaml | tocsin notify explain - -f notifications/ -o json
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.notifying.explaining import Explanation
    from tocsin.notifying.records import memory

    given_folder = ctx.get_parameter_source("folder") is not click.core.ParameterSource.DEFAULT
    wanted = bool(bus or bus_name) or given_folder

    async def work(given: "Inputs") -> int:
        async with memory(folder, bus, bus_name, wanted=wanted) as records:
            explanation = await Explanation.of(given, records, time.time())
        if output == "json":
            print_json(explanation.json())
        else:
            print_lines(explanation.lines(full=full))
        return DONE if explanation.accounts else NOTHING

    ctx.exit(with_inputs(choice_of(options), target, work))


@command.command("validate")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@input_options
@output_option(ONE_OBJECT)
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.pass_context
def validate(
    ctx: click.Context, /, paths: tuple[str, ...], output: str, strict: bool, **options: Any
) -> None:
    """Check a configuration: as `tocsin lint` does for manifests, or in the cluster.

    Exits with 2 if there are errors, with 1 if there are only warnings and --strict is given.

    \b
    Examples:
      tocsin notify validate notifications/
      tocsin notify validate --config-map argocd/argocd-notifications-cm
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.notifying.subject import is_file

    choice = choice_of(options)
    here = [*paths, *choice.files]
    here += [one for one in (choice.config_map, choice.secret) if one and is_file(one)]
    if here:
        from tocsin.lint import command as lint

        ctx.invoke(lint, paths=tuple(here), strict=strict, form=output, quiet=False)

    async def work(given: "Inputs") -> int:
        found = [(one.title, problem) for one in given.found for problem in one.problems]
        if output == "json":
            shown = [
                {"notifier": title, "key": p.key, "line": p.line, "severity": p.severity,
                 "message": p.message}
                for title, p in found
            ]  # fmt: skip
            print_json({"findings": shown})
        else:
            print_lines(_warnings((p.severity, f"{title}: {p}") for title, p in found))
        severities = {problem.severity for _, problem in found}
        if "error" in severities:
            return WRONG
        return NOTHING if strict and "warning" in severities else DONE

    ctx.exit(with_inputs(choice, "", work))
