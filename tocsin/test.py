"""`tocsin test`: golden cases beside the manifests."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spine.errors import ConfigError
from tocsin.report import plural

if TYPE_CHECKING:
    from tocsin.cases import File
    from tocsin.golden import Outcome
    from tocsin.junit import Ran

PASSED, FAILED, WRONG = 0, 1, 2


@click.command("test")
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path)
)
@click.option(
    "-k", "--only", default="", metavar="TEXT", help="Only cases with that in their name."
)
@click.option("--update", is_flag=True, help="Write what came into the cases that fail.")
@click.option(
    "--junit",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the results as JUnit XML.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the summary only.")
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    only: str,
    update: bool,
    junit: Path | None,
    quiet: bool,
) -> None:
    """Run the golden cases of Sensors: events in, actions or a refusal out.

    Takes files that end in .tocsin-test.yaml and directories of them. Each lies beside its
    Sensor: orders.tocsin-test.yaml beside orders.yaml. Nothing is sent and no bus is needed.

    \b
      cases:
        - name: a large order is posted
          events: [{body: {id: 42, total: 250}}]
          want: [{trigger: post, content: {body: {id: 42}}}]
        - name: a small one is not
          events: [{body: {id: 43, total: 25}}]
          refused: total is 25, not >= 100

    Exits with 1 if a case fails, with 2 if a file is wrong.

    \b
    Examples:
      tocsin test manifests/
      tocsin test orders.tocsin-test.yaml -k large
      tocsin test manifests/ --junit results.xml
      tocsin test manifests/ --update
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.cases import find

    began, results, wrong = time.perf_counter(), [], 0
    for path in find(list(paths)):
        try:
            results.append(_run(path, only, update=update, quiet=quiet))
        except ConfigError as exc:
            click.echo(f"{click.style('wrong', fg='red')}  {exc}")
            wrong += 1
    if junit is not None:
        _write(results, junit)
    outcomes = [outcome for one in results for outcome in one.outcomes]
    if only and not outcomes and not wrong:
        raise ConfigError(f"choosing cases: none has {only!r} in its name")
    failed = sum(bool(outcome.differences) for outcome in outcomes)
    counts = [f"{len(outcomes) - failed} passed"]
    counts += [f"{failed} {'updated' if update else 'failed'}"] if failed else []
    counts += [f"{plural(wrong, 'file')} wrong"] if wrong else []
    click.echo(f"{', '.join(counts)} in {time.perf_counter() - began:.2f} s")
    ctx.exit(WRONG if wrong else FAILED if failed and not update else PASSED)


def _run(path: Path, only: str, *, update: bool, quiet: bool) -> "Ran":
    from tocsin.cases import read_file
    from tocsin.golden import run_case
    from tocsin.junit import Ran

    began, file = time.perf_counter(), read_file(path)

    async def main() -> dict[int, "Outcome"]:
        numbered = enumerate(file.suite.cases)
        return {n: await run_case(file, case) for n, case in numbered if only in case.name}

    outcomes = asyncio.run(main())
    for number, outcome in outcomes.items():
        _print(file, number, outcome, update=update, quiet=quiet)
    if update:
        _update(file, outcomes)
    took = time.perf_counter() - began
    return Ran(path, file.sensor.plan.name, list(outcomes.values()), took)


def _print(file: "File", number: int, outcome: "Outcome", *, update: bool, quiet: bool) -> None:
    if not outcome.differences:
        if not quiet:
            click.echo(f"{click.style('ok', fg='green')}     {file.path}: {outcome.case.name}")
        return
    word = click.style("update" if update else "failed", fg="yellow" if update else "red")
    click.echo(f"{word} {file.path}:{file.line(number)}: {outcome.case.name}")
    for difference in outcome.differences:
        click.echo(f"         {difference}")


def _update(file: "File", outcomes: dict[int, "Outcome"]) -> None:
    from tocsin.golden import came
    from tocsin.rewriting import rewritten

    found = {number: came(one) for number, one in outcomes.items() if one.differences}
    if found:
        text = rewritten(file, found)
        file.path.write_text(text)


def _write(results: list["Ran"], junit: Path) -> None:
    from tocsin.junit import write

    try:
        write(results, junit)
    except OSError as exc:
        raise ConfigError(f"writing {junit}: {exc.strerror}") from exc
