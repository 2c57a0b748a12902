"""Become a program that never outlives its parent. Run as a script, not imported.

    python embedded_exec.py PARENT_PID PROGRAM ARGUMENT…

On Linux the kernel is asked to kill this process with its parent, and the program then takes
its place. Elsewhere this process stays, and kills the program when its standard input, a pipe
that the parent holds open and never writes to, comes to its end.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the program of the arguments."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was asked
            return 1
        os.execv(command[0], command)  # noqa: S606 -- that is the purpose; no shell is wanted
    return _keep(command)


def _keep(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 -- our caller's own program

    def watch() -> None:
        while os.read(0, 1024):
            pass
        child.kill()

    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
