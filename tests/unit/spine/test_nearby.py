"""Services whose pods are processes of this machine."""

import pytest

from spine.http.nearby import VARIABLE, nearby

SERVICE = "inbox-eventsource-svc"


@pytest.mark.parametrize(
    "host",
    [SERVICE, f"{SERVICE}.shop", f"{SERVICE}.shop.svc", f"{SERVICE}.shop.svc.cluster.local."],
)
def test_the_service_of_an_event_source_is_here_where_tocsin_run_says_so(host, monkeypatch):
    monkeypatch.setenv(VARIABLE, "100")

    assert nearby(host, 12000) == ("127.0.0.1", 12100)


@pytest.mark.parametrize(
    "host",
    ["inbox", "inbox-svc", f"{SERVICE}.example.com", f"{SERVICE}.a.svc.example", "127.0.0.1"],
)
def test_any_other_host_is_where_it_is(host, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0")

    assert nearby(host, 80) is None


def test_in_a_pod_the_cluster_says_where_a_service_is(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)

    assert nearby(SERVICE, 12000) is None
