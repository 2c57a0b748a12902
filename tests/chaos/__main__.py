"""`PYTHONPATH=.:tests python -m chaos`: a storm, and an account of it. Exit code 1 on a loss."""

import argparse
import asyncio
import sys
from pathlib import Path

from chaos import network


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the plan of the faults; else by the clock")
    parser.add_argument("--events", type=int, help="1,000,000, or 6,000 in the short form")
    parser.add_argument("--rate", type=float, help="events a second that are sent at most")
    parser.add_argument("--servers", type=int, default=3, choices=(1, 3), help="of the bus")
    parser.add_argument("--replicas", type=int, default=2, help="of the Sensor for the mass")
    parser.add_argument("--minutes", type=float, help="most minutes of sending")
    parser.add_argument("--settle", type=float, help="most seconds to come to rest at the end")
    parser.add_argument("--short", action="store_true", help="the form for CI: about 40 s")
    parser.add_argument("--only", action="append", help="kinds of faults with this in their name")
    parser.add_argument("--calm", action="store_true", help="no faults at all")
    parser.add_argument("--report", type=Path, help="file for the report, in Markdown")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a failure")
    found = parser.parse_args()
    if why := network.missing():
        print(f"no storm here: {why}", file=sys.stderr)
        return 3
    network.enter()
    from chaos.storm import blow, wish_of

    return asyncio.run(blow(wish_of(found), found.report))


if __name__ == "__main__":
    sys.exit(main())
