"""Services whose pods are processes of this machine.

In a cluster an EventSource `orders` is reached at `http://orders-eventsource-svc:PORT`. Where
`tocsin run` runs all of them here, so is it too: the same manifest works in both.
"""

import os
import re

VARIABLE = "TOCSIN_SERVICES_HERE"
"""What `tocsin run` hands its processes: the number that it adds to every port of a manifest."""
_SERVICE = re.compile(r"[a-z0-9-]+-eventsource-svc(\.[a-z0-9-]+(\.svc(\.cluster\.local)?)?)?\.?")


def nearby(host: str, port: int) -> tuple[str, int] | None:
    """Return where on this machine a Service is; None for any other host, or in a pod."""
    offset = os.environ.get(VARIABLE, "")
    if not offset or not _SERVICE.fullmatch(host.lower()):
        return None
    return "127.0.0.1", port + int(offset)
