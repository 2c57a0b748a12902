"""`tocsin convert`: write manifests of old in today's form."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from spine.manifest import STDIN, Finding, read, read_text
from spine.model import dotted
from tocsin.converting import Conversion, converted
from tocsin.report import plural

OK, WOULD_CHANGE, ERRORS = 0, 1, 2
_BOM = "\ufeff"


@click.command("convert")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--dry-run", is_flag=True, help="Print what would change as a diff; write nothing.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if something would change.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def command(
    ctx: click.Context, paths: tuple[str, ...], dry_run: bool, check: bool, quiet: bool
) -> None:
    """Write manifests of old in today's form.

    Takes files, directories (read recursively), and `-` for standard input, which goes to standard
    output. Prints one line for each old shape, as FILE:LINE:COLUMN: FIELD: WHAT IS WRITTEN. What
    is written means the same; comments, order and formatting stay as they are. A file of which
    anything cannot be converted is left alone.

    Exits with 2 if there is such a file, with 1 if --check is given and something would change.

    \b
    Examples:
      tocsin convert --dry-run manifests/
      tocsin convert manifests/
      kubectl get sensor old -o yaml | tocsin convert - > new.yaml
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    files = [*_given(paths)]
    plain = not (dry_run or check or STDIN in paths)
    for one in files:
        if dry_run:
            click.echo(one.diff(), nl=False)
        elif not check:
            one.write()
        for finding in one.found.errors:
            click.echo(_line(finding), err=True)
        for finding in [] if quiet else one.changes:
            click.echo(_line(finding), err=not plain and not check)
    if not quiet:
        click.echo(_summary(files, dry=dry_run or check), err=not plain and not check)
    if any(one.found.errors for one in files):
        ctx.exit(ERRORS)
    ctx.exit(WOULD_CHANGE if check and any(one.changes for one in files) else OK)


@dataclass(frozen=True, slots=True)
class _File:
    """A file, and what becomes of it."""

    name: str
    content: bytes
    text: str
    found: Conversion

    @property
    def changes(self) -> list[Finding]:
        """What is written in another way; nothing where the file is left alone."""
        return [] if self.found.errors else self.found.changes

    def diff(self) -> str:
        """Return what changes, as `patch` takes it."""
        lines = difflib.unified_diff(
            self.text.splitlines(keepends=True),
            self.found.text.splitlines(keepends=True),
            self.name,
            self.name,
        )
        ended = (x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)
        return "".join(ended)

    def write(self) -> None:
        """Write the file if it changes; standard input is always passed on."""
        text = self.found.text
        if b"\r\n" in self.content and text != self.text:
            text = text.replace("\n", "\r\n")
        if self.name == STDIN:
            sys.stdout.buffer.write(text.encode() if self.changes else self.content)
            sys.stdout.flush()
        elif self.changes:
            bom = _BOM if self.content.startswith(_BOM.encode()) else ""
            Path(self.name).write_bytes((bom + text).encode())


def _given(paths: Iterable[str]) -> Iterator[_File]:
    for path in paths:
        if path == STDIN:
            content = sys.stdin.buffer.read()
            yield _file(STDIN, content, read_text(content, "stdin").findings)
            continue
        reading = read([path])
        for name in reading.files:
            findings = [f for f in reading.findings if f.place.file == name]
            yield _file(name, Path(name).read_bytes(), findings)


def _file(name: str, content: bytes, findings: Iterable[Finding]) -> _File:
    """Convert one file; what cannot be read as manifests is not looked at further."""
    errors = [f for f in findings if f.severity == "error"]
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    if errors:
        return _File(name, content, text, Conversion(text, errors=errors))
    return _File(name, content, text, converted(text, "stdin" if name == STDIN else name))


def _line(finding: Finding) -> str:
    path = f"{dotted(finding.path)}: " if finding.path else ""
    return f"{finding.place}: {path}{finding.message}"


def _summary(files: list[_File], *, dry: bool) -> str:
    changes = sum(len(one.changes) for one in files)
    changed = sum(bool(one.changes) for one in files)
    left = sum(bool(one.found.errors) for one in files)
    text = f"{plural(changes, 'change')} in {plural(changed, 'file')}{' to be made' if dry else ''}"
    if not changes:
        text = f"{plural(len(files), 'file')}: nothing to convert"
    return f"{text}; {plural(left, 'file')} left alone" if left else text
