"""Fixtures for everything."""

import asyncio
import os
import signal

import pytest
from hypothesis import settings

from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

settings.register_profile("anywhere", deadline=None)  # machines are shared and slow at times
settings.register_profile("ci", deadline=None, derandomize=True)  # a failure there comes again
settings.load_profile("ci" if os.environ.get("CI") else "anywhere")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or no process of ours would hear it

asyncio.set_event_loop(None)  # otherwise the asyncio plugin makes a loop that nobody closes


@pytest.fixture
async def env():
    """The surroundings of a component named `beep` in `uploads`, on loopback."""
    async with Shared() as shared:
        yield Env("uploads", "beep", "ns", GivenSecrets(), shared, host="127.0.0.1")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A real API server, started when the first test asks for it."""
    from kube_cluster import Cluster

    one = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="module")
def nodes(cluster, tmp_path_factory):
    """Where the pods of the cluster run: those that are made while the tests of a module run."""
    from kube_cluster import missing
    from kubelet.nodes import Nodes, obstacle

    if why := obstacle():
        missing(why)
    one = Nodes(cluster, tmp_path_factory.mktemp("nodes"))
    try:
        one.start()
        yield one
    finally:
        one.stop()
