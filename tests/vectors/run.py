"""Puts folders of vectors to the product: `python tests/vectors/run.py DIR...`.

DIR is a folder in the format of `shared/vectors/sensor/README.md` or of `shared/vectors/languages`.
Each vector is evaluated through the product's own code, in a process of its own kind that is
killed where it does not answer. Prints a line a family and every failure with what was wanted
and what came; exits with 1 if any vector failed that no declared deviation covers, with 2 where
the folder or an option is wrong.
"""

import argparse
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from vectors.corpus import Unreadable, read  # noqa: E402 -- found only by the path above
from vectors.deviations import DEVIATIONS  # noqa: E402
from vectors.outcome import Vector  # noqa: E402
from vectors.verdict import Verdict, verdict  # noqa: E402

DEADLINE = 10.0
"""Seconds that one vector may take."""
SHOWN = 2000
"""Characters of an input or an outcome that a report shows."""

FAILED, USAGE = 1, 2


class Worker:
    """A process that judges vectors one after another; a new one takes over where one dies."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._process: multiprocessing.Process | None = None
        self._pipe: Connection | None = None

    def judge(self, vector: Vector) -> Verdict:
        if self._process is None:
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send(vector)
            if self._pipe.poll(self._deadline):
                found: Verdict = self._pipe.recv()
                return found
            why = f"no answer in {self._deadline:g} s"
        except (EOFError, OSError):
            why = "the process died"
        self.stop()
        return Verdict("failed", why)

    def _start(self) -> None:
        self._pipe, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(pipe: Connection) -> None:
    while True:
        try:
            vector = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send(verdict(vector))


# ---------------------------------------------------------------------------- reporting


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _report(vector: Vector, found: Verdict) -> Iterator[str]:
    yield f"FAILED {vector.get('id', '?')}: {found.why}"
    yield f"  input:  {_short(vector.get('input'))}"
    yield f"  wanted: {_short(vector.get('expect'))}"
    if found.got is not None:
        yield f"  got:    {_short(found.got)}"
    if found.trace:
        yield "  " + found.trace.rstrip().replace("\n", "\n  ")


def _summary(counts: dict[str, Counter[str]]) -> Iterator[str]:
    width = max(map(len, counts), default=0)
    total: Counter[str] = Counter()
    for family in sorted(counts):
        total += counts[family]
        yield f"{family:{width}}  {_numbers(counts[family])}"
    yield f"{'all':{width}}  {_numbers(total)}"


def _numbers(count: Counter[str]) -> str:
    return "  ".join(f"{name} {count[name]:4}" for name in ("passed", "failed", "deviated"))


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path)
    parser.add_argument("--family", metavar="F", help="only vectors of this family")
    parser.add_argument("--id", metavar="ID", help="only vectors whose id begins so")
    parser.add_argument("--max", metavar="N", type=int, help="show at most N failures")
    parser.add_argument("--deadline", metavar="SECONDS", type=float, default=DEADLINE)
    parser.add_argument("--deviations", action="store_true", help="list what deviates, and why")
    return parser.parse_args(argv)


def _chosen(options: argparse.Namespace) -> list[Vector]:
    vectors = [vector for folder in options.folders for vector in read(folder)]
    return [
        v
        for v in vectors
        if (not options.family or v.get("family") == options.family)
        and (not options.id or str(v.get("id", "")).startswith(options.id))
    ]


def main(argv: Sequence[str]) -> int:
    options = _arguments(argv)
    try:
        vectors = _chosen(options)
    except Unreadable as exc:
        print(exc, file=sys.stderr)
        return USAGE
    if not vectors:
        print("no vector is called that", file=sys.stderr)
        return USAGE
    counts: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    shown, worker = 0, Worker(options.deadline)
    for vector in vectors:
        found = worker.judge(vector)
        counts.setdefault(str(vector.get("family")), Counter())[found.kind] += 1
        if found.kind == "deviated":
            reasons[found.why] += 1
        if found.kind == "failed" and (options.max is None or shown < options.max):
            shown += 1
            print("\n".join(_report(vector, found)), end="\n\n")
    worker.stop()
    print("\n".join(_summary(counts)))
    if options.deviations:
        for one in DEVIATIONS:
            if reasons[one.name]:
                print(f"\n{reasons[one.name]:4} {one.name}: {one.reason}")
    return FAILED if any(count["failed"] for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
