"""HTTP triggers: the request, and which status is success."""

from typing import Any

from vectors.corpus import events
from vectors.families.plans import action_of
from vectors.outcome import Outcome, Vector

from delivery.action import Action
from sensor.spec import StatusPolicy
from sensor.triggers.http import HttpSender, judge
from spine.errors import TriggerError
from spine.http import url as gourl
from spine.http.client import Request, Response
from spine.model import load
from spine.secrets import GivenSecrets

ASKED = Request("POST", gourl.parse("http://h/"))
PORTS = {"http": 80, "https": 443}


def request(given: Vector) -> Outcome:
    action = action_of(given["trigger"], events(given["events"]))
    sent = _sent(action)
    answer = Response(given.get("response_status", 200), "", "")
    try:
        judge(ASKED, answer, action.content.get("allow"))
    except TriggerError as exc:
        return Outcome.refused(exc, request=sent)
    return Outcome.of(sent)


def _sent(action: Action) -> dict[str, Any]:
    asked = HttpSender(None, GivenSecrets())._request(action.content)
    return {
        "method": asked.method,
        "target": asked.url.target,
        "host": asked.host or asked.url.authority,
        "connect": f"{asked.url.host}:{asked.url.port or PORTS[asked.url.scheme]}",
        "tls": asked.url.scheme == "https",
        "headers": _canonical(asked.headers),
        "body": asked.body.decode(),
    }


def _canonical(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Return headers as Go's server reports them."""
    out: dict[str, list[str]] = {}
    for name, value in headers:
        out.setdefault("-".join(p.capitalize() for p in name.split("-")), []).append(value)
    for left_out in ("User-Agent", "Accept-Encoding", "Content-Length", "Connection"):
        out.pop(left_out, None)
    return out


def status(given: Vector) -> Outcome:
    policy = load(StatusPolicy, given["policy"], lenient=True)
    judge(ASKED, Response(given["status"], "", ""), policy.allow)
    return Outcome.of(True)
