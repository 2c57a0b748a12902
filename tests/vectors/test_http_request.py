"""HTTP triggers: the request is the one that Argo Events sends."""

import pytest
from vectors.corpus import SOURCE_TEMPLATES, Vector, differs, events, family

from sensor import gourl
from sensor.http_client import Request, Response
from sensor.plan import compile_plan
from sensor.spec import SensorSpec, StatusPolicy
from sensor.triggers.http import HttpSender, judge
from spine.errors import ConfigError, ParameterError, TriggerError
from spine.model import load
from spine.secrets import GivenSecrets

ASKED = Request("POST", gourl.parse("http://h/"))


def _action(given: Vector):
    dependencies = [
        {"name": name, "eventSourceName": "s", "eventName": name} for name in given["events"]
    ]
    spec = {"dependencies": dependencies, "triggers": [given["trigger"]]}
    plan = compile_plan("s", "ns", load(SensorSpec, spec))
    (planned,) = plan.triggers.values()
    return planned.render(events(given["events"]), "key")


def _canonical(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Return headers as Go's server reports them."""
    out: dict[str, list[str]] = {}
    for name, value in headers:
        out.setdefault("-".join(p.capitalize() for p in name.split("-")), []).append(value)
    out.pop("User-Agent", None)
    return out


def _sent(action) -> dict[str, object]:
    request = HttpSender(None, GivenSecrets())._request(action.content)
    port = {"http": 80, "https": 443}[request.url.scheme]
    return {
        "method": request.method,
        "target": request.url.target,
        "host": request.host or request.url.authority,
        "connect": f"{request.url.host}:{request.url.port or port}",
        "tls": request.url.scheme == "https",
        "headers": _canonical(request.headers),
        "body": request.body.decode(),
    }


@pytest.mark.parametrize("vector", family("http_request", SOURCE_TEMPLATES))
def test_request(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    try:
        action = _action(given)
        sent = _sent(action)
    except (ConfigError, ParameterError, TriggerError):
        http = given["trigger"]["template"]["http"]
        if "error" not in expect and http.get("method", "") not in {
            "", "GET", "DELETE", "PATCH", "POST", "PUT",
        }:  # fmt: skip
            differs("validation refuses the method")
        status = (given["trigger"].get("policy") or {}).get("status")
        if "error" not in expect and status is not None and status.get("allow") is None:
            differs("validation refuses policy.status without allow")
        assert "error" in expect
        return
    wanted = expect.get("request") if "error" in expect else expect["result"]
    assert sent == wanted
    status = given.get("response_status", 200)
    allow = action.content.get("allow")
    if allow is None and not 200 <= status < 300:
        differs("without a policy only 2xx is success")
    if "error" in expect:
        with pytest.raises(TriggerError, match="not allowed"):
            judge(ASKED, Response(status, "", ""), allow)
    else:
        judge(ASKED, Response(status, "", ""), allow)


@pytest.mark.parametrize("vector", family("status_policy"))
def test_status_policy(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    response = Response(given["status"], "", "")
    if "error" in expect:
        with pytest.raises((ConfigError, TriggerError)):
            judge(ASKED, response, load(StatusPolicy, given["policy"]).allow)
    else:
        judge(ASKED, response, load(StatusPolicy, given["policy"]).allow)


def test_urls_are_shown_without_what_may_be_secret() -> None:
    assert gourl.parse("https://me:pw@host/path?token=x").shown == "https://host/path?..."
