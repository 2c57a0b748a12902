"""Processes that wait for work; in a program of its own, as what is forked is the program."""

import subprocess
import sys

from tocsin_run import environment

PROGRAM = """
import asyncio, os, signal
from tocsin import spare

def limited():
    raise OSError

spares = spare.fork(3)
one, dead, unused = list(spares.waiting)

async def work(spare_):
    taken, channel = await spare.put_to_work(spare_, "version")
    with channel:
        said = await taken.stdout.read()
        return await taken.wait(), taken.returncode, said.decode()

async def main():
    print(await work(spares.take()))
    os.kill(dead.pid, signal.SIGKILL)
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    print(await work(spares.take()))

asyncio.run(main())
spares.end()
try:
    os.kill(unused.pid, 0)
except ProcessLookupError:
    print("ended", spares.waiting)
os.fork = limited
print(spare.fork(3).waiting)
"""


def test_a_process_that_waits_becomes_what_it_is_told():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, check=True, timeout=120, env=environment(),
    )  # fmt: skip

    one, dead, ended, limited = done.stdout.splitlines()
    assert one.startswith("(2, 2, ")
    assert "--supervised" in one  # which the verb does not know: it was told to be that one
    assert dead == "(-9, -9, '')"
    assert (ended, limited) == ("ended []", "[]")
