"""Stands in for what looks at objects: does what the name of an object says."""

import json
import os
import time


def serve(_):
    def answer(request):
        if not request:
            return b""
        name = json.loads(request)["name"]
        if name == "hang":
            while True:
                time.sleep(1)
        if name == "eat":
            bytearray(2**40)
        if name == "crash":
            os.abort()
        if name == "chatter":
            return b"x" * 2**22
        return json.dumps({"errors": [{"path": "", "message": name}]}).encode()

    return answer
