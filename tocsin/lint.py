"""`tocsin lint`: check manifests without a cluster."""

from collections.abc import Sequence

import click

from spine.errors import ConfigError
from spine.manifest import CHECKED_KINDS, STDIN, Reading, read
from tocsin import report
from tocsin.checks import Setting, check

OK, WARNINGS, ERRORS = 0, 1, 2


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.option(
    "--format", "form", type=click.Choice(report.FORMATS), default="text", show_default=True,
    help="What to print: lines, JSON, or SARIF for a code host.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
@click.pass_context
def command(
    ctx: click.Context, paths: tuple[str, ...], strict: bool, form: str, quiet: bool
) -> None:
    """Check manifests without a cluster.

    Takes files, directories (read recursively) and `-` for standard input. Prints one line for
    each problem, as FILE:LINE:COLUMN: FIELD: PROBLEM, and below it, with blanks before, the place
    in a program. The same checks run in `tocsin run`.

    Exits with 2 if there are errors, with 1 if there are only warnings and --strict is given.

    \b
    Examples:
      tocsin lint manifests/
      tocsin lint --strict --format sarif manifests/ > lint.sarif
      kustomize build . | tocsin lint -
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    reading = read(paths)
    _require_objects(reading, paths)
    result = check(reading, Setting())
    objects = sum(o.kind in CHECKED_KINDS for o in reading.objects)
    objects += sum(one.implied for one in result.checked)
    files = len(reading.files) + (STDIN in paths)
    if form == "json":
        click.echo(report.as_json(result.findings, objects, files))
    elif form == "sarif":
        click.echo(report.as_sarif(result.findings))
    else:
        report.print_text(result.findings, notes=not quiet)
        if not quiet:
            click.echo(report.summary(result.findings, objects, files))
    if result.count("error"):
        ctx.exit(ERRORS)
    ctx.exit(WARNINGS if strict and result.count("warning") else OK)


def _require_objects(reading: Reading, paths: Sequence[str]) -> None:
    """Refuse paths in which there is nothing to check: they are probably the wrong ones."""
    if not reading.objects and not any(f.severity == "error" for f in reading.findings):
        raise ConfigError(
            f"reading {' '.join(paths)}: no EventBus, EventSource or Sensor in there",
            hint="manifests end in .yaml, .yml or .json",
        )
