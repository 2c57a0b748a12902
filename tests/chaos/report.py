"""What is told of a storm: a table for each question, in Markdown."""

import math
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from chaos.faults import Fault

MIB = 2**20


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lies: one of them."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def recoveries(faults: Sequence[Fault]) -> str:
    """Return how long it took, by kind of fault."""
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.end:
            by_kind[fault.kind].append(fault)
    rows = []
    for name in sorted(by_kind):
        some = by_kind[name]
        rows.append((name, len(some), *_three([f.first for f in some]),
                     *_three([f.caught_up for f in some])))  # fmt: skip
    head = ("fault", "times", "first effect p50", "p99", "all caught up p50", "p99", "open")
    return table(head, [(*r[:4], *r[5:]) for r in rows])


def _three(values: Sequence[float | None]) -> tuple[str, str, str]:
    known = [v for v in values if v is not None]
    if not known:
        return "-", "-", str(len(values))
    half, most = quantile(known, 0.5), quantile(known, 0.99)
    return f"{half:.1f} s", f"{most:.1f} s", str(len(values) - len(known))


def sizes(samples: dict[str, list[tuple[float, int, int]]]) -> tuple[str, list[str]]:
    """Return memory and files over the first and the last third, and where they grew."""
    rows, grown = [], []
    for name, found in sorted(samples.items()):
        if len(found) < 6:
            continue
        third = len(found) // 3
        early, late = found[:third], found[-third:]
        memory = max(s[1] for s in early) / MIB, max(s[1] for s in late) / MIB
        files = max(s[2] for s in early), max(s[2] for s in late)
        rows.append((name, f"{memory[0]:.0f} MiB", f"{memory[1]:.0f} MiB", *files))
        if memory[1] > memory[0] * 1.3 + 16:
            grown.append(f"{name}: memory grew from {memory[0]:.0f} to {memory[1]:.0f} MiB")
        if files[1] > files[0] * 1.5 + 32:
            grown.append(f"{name}: open files grew from {files[0]} to {files[1]}")
    head = ("process", "memory, first third", "last third", "open files, first third", "last third")
    return table(head, rows), grown


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, Linux {platform.release()}, CPython {platform.python_version()}"
    )
