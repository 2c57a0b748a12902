"""What the guard's tests run in worker processes."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from spine.lang import EvaluationError, jq


def run_jq(init: bytes) -> Callable[[bytes], bytes]:
    """Answer requests with what the jq program in `init` makes of them."""
    return jq.compile(init.decode()).run


def do(init: bytes) -> Callable[[bytes], bytes]:
    """Do what a request says."""

    def serve(request: bytes) -> bytes:
        word, _, rest = request.partition(b" ")
        if word == b"sleep":
            time.sleep(float(rest))
        elif word == b"spin":
            while True:
                pass
        elif word == b"eat":
            return bytes([len(bytearray(int(rest))) % 256])
        elif word == b"make":
            return b"x" * int(rest)
        elif word == b"abort":
            os.abort()
        elif word == b"exit":
            os._exit(int(rest))
        elif word == b"raise":
            raise ValueError(rest.decode())
        elif word == b"refuse":
            raise EvaluationError(rest.decode())
        elif word == b"print":
            print(rest.decode(), flush=True)
        elif word == b"pid":
            return str(os.getpid()).encode()
        elif word == b"env":
            return " ".join(sorted(os.environ)).encode()
        return init + request

    return serve


def refuse(init: bytes) -> Callable[[bytes], bytes]:
    """Fail to start."""
    raise RuntimeError(init.decode())


def once_there(init: bytes) -> Callable[[bytes], bytes]:
    """Fail to start until a file is there."""
    if not Path(init.decode()).exists():
        raise RuntimeError("not yet")
    return lambda request: request
