"""Whose name a cluster is asked in."""

import os

import pytest

from spine.errors import ConfigError
from spine.kube.credentials import credentials

CONFIG = """\
apiVersion: v1
kind: Config
current-context: there
contexts: [{name: there, context: {cluster: c, user: u, namespace: shop}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
"""


async def test_a_kubeconfig_that_is_not_there_is_told(tmp_path):
    file = str(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"reading kubeconfig .*gone: there is no such file"):
        await credentials(file)


async def test_of_several_kubeconfigs_one_is_enough(tmp_path, monkeypatch):
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv(
        "KUBECONFIG", os.pathsep.join([str(tmp_path / "gone"), str(tmp_path / "config")])
    )

    found, namespace = await credentials()

    assert found.host == "http://127.0.0.1:1"
    assert namespace == "shop"


@pytest.mark.parametrize("text", ["- a\n", "{", "", "clusters: 5", "\x00", "current-context: a"])
async def test_a_kubeconfig_that_is_none_is_told(text, tmp_path):
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match=r"reading kubeconfig .*config: "):
        await credentials(str(tmp_path / "config"))
