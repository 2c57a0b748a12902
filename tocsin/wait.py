"""`tocsin wait`: wait until objects are healthy, and tell how they get there."""

import asyncio
import logging

import click

from tocsin.cluster import cluster_options, kind_and_name
from tocsin.output_option import LINES, output_option


@click.command("wait")
@click.argument("objects", nargs=-1, required=True, metavar="KIND/NAME...")
@click.option(
    "--for",
    "wanted",
    default="health=Healthy",
    show_default=True,
    metavar="WHAT",
    help="health=STATUS, condition=NAME[=False], field=PATH[=VALUE], exists or deleted.",
)
@click.option(
    "--timeout", default="5m", show_default=True, metavar="5m", help="How long; 0: look once."
)
@cluster_options
@click.option(
    "-l", "--selector", default="", metavar="APP=WEB", help="All objects of KIND with it."
)
@click.option(
    "--health-config",
    "health",
    default="",
    metavar="FILE|[NS/]NAME",
    help="ConfigMap with resource.customizations, such as argocd/argocd-cm.",
)
@click.option("--keep-waiting", is_flag=True, help="Go on waiting for what is Degraded.")
@output_option(LINES)
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    objects: tuple[str, ...],
    wanted: str,
    timeout: str,
    namespace: str,
    selector: str,
    kubeconfig: str,
    context: str,
    health: str,
    keep_waiting: bool,
    output: str,
) -> None:
    """Wait until objects are healthy, or whatever else is asked for.

    KIND is a kind, plural or short name, also with its group: deploy, Deployment, deployments.apps.
    What is not there yet is waited for, too. Each change of health is printed. PATH is gjson, such
    as status.phase.

    Exits with 0 when all of it is so, with 3 as soon as something is Degraded whose health is
    waited for, with 4 when the time is over, with 2 for wrong options, with 1 for other errors.

    \b
    Examples:
      tocsin wait deploy/web svc/web --timeout 2m
      tocsin wait certificates -l app=shop --for condition=Ready
      tocsin wait job/migrate --for health=Healthy --health-config argocd/argocd-cm -o json
      tocsin wait pvc/data --for field=status.phase=Bound
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from spine.runtime import seconds
    from tocsin.goals import goal
    from tocsin.waiting import Wish, wait

    time = 0.0 if timeout == "0" else seconds(timeout)
    if time < 0:
        raise click.UsageError(f"--timeout {timeout}: write a time such as 5m, or 0.")
    wish = Wish(
        objects=_objects(objects, selector),
        selector=selector,
        goal=goal(wanted),
        wanted=wanted,
        timeout=time,
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=context,
        health=health,
        keep_waiting=keep_waiting,
        json=output == "json",
    )
    _log_to_stderr()
    ctx.exit(asyncio.run(wait(wish)))


def _log_to_stderr() -> None:
    """Let it be seen when the API server is away and asked again."""
    handler = logging.StreamHandler()
    form = logging.Formatter("tocsin: %(message)s: %(error)s", defaults={"error": ""})
    handler.setFormatter(form)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _objects(words: tuple[str, ...], selector: str) -> tuple[tuple[str, str], ...]:
    """Return kinds and names: of `KIND/NAME...`, `KIND NAME...`, or `KIND...` with a selector."""
    if selector:
        if any("/" in word for word in words):
            raise click.UsageError("a name and -l together: give KIND -l SELECTOR.")
        return tuple((word, "") for word in words)
    if "/" not in words[0]:
        if len(words) == 1:
            raise click.UsageError(f"{words[0]}: give KIND/NAME, or KIND -l SELECTOR.")
        words = tuple(f"{words[0]}/{name}" for name in words[1:])
    return tuple(map(kind_and_name, words))
