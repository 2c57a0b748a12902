"""Looking kinds up, where somebody asks for many that are not there."""

import gc

import pytest

from spine.errors import ConfigError, KubeError
from spine.kube.discovery import Discovery


async def nothing(path: str) -> bytes:
    if path == "/apis":
        return b'{"groups": []}'
    raise KubeError("asking", status=404)


async def test_versions_that_are_not_there_leave_nothing() -> None:
    discovery = Discovery(nothing)
    for number in range(100):
        with pytest.raises(ConfigError, match="does not have it"):
            await discovery.kind(f"made-up.io/v{number}", "Thing")
    gc.collect()
    assert not len(discovery._locks) + len(discovery._known) + len(discovery._preferred)
