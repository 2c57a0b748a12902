"""What most live tests begin with: a bus or a namespace of one's own, and something to tell."""

import pytest
from nats_server import nats_server
from sink import sink

from eventbus.jetstream import Options, connect


@pytest.fixture
async def server(tmp_path):
    """A NATS server of the test's own."""
    async with nats_server(tmp_path) as one:
        yield one


@pytest.fixture
async def bus(server):
    """The bus of that server."""
    async with connect(lambda: Options(servers=(server.url,))) as one:
        yield one


@pytest.fixture
async def target():
    """Where actions go, which remembers them."""
    async with sink() as one:
        yield one


@pytest.fixture(scope="module")
def kinds(cluster):
    """The cluster, with our CRDs."""
    from controller_kit import CRDS

    for file in CRDS:
        cluster.apply(file)
    return cluster


@pytest.fixture
def space(kinds, request):
    """A namespace of the test's own."""
    from controller_kit import Space

    return Space(kinds, kinds.namespace(request.node.name))
