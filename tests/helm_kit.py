"""Helm for tests, and what it and `tocsin install` make of the same values.

Built from its Go module by `tests/helm/build.sh`: minutes once, then nothing.
"""

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tocsin.installing.chart import Chart, Release
from tocsin.installing.given import checked, merged

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "tests" / "helm" / "build.sh"
CHART = ROOT / "charts" / "tocsin"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def built(name: str) -> str:
    """Return `helm`, `promql`, or `crds` of the Prometheus operator, a folder.

    Builds what is missing, and skips the test where that fails.
    """
    if shutil.which("go") is not None:
        done = subprocess.run([BUILD], stdout=subprocess.PIPE, check=False)
        if done.returncode == 0:
            return f"{done.stdout.decode().strip()}/{name}"
    reason = "needs helm: install Go 1.24 or later (see tests/helm/build.sh)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def helm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run helm, which finds nothing of whoever runs the tests; its caches are in a folder."""
    homes = {
        f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")
    }
    return subprocess.run(
        [built("helm"), *words], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **homes},
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Values, and which objects come and go with them, beside those of the default."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    more: frozenset[str] = frozenset()
    less: frozenset[str] = frozenset()
    release: str = "tocsin"
    namespace: str = "tocsin"
    crds: bool = False
    """Whether the CRDs are among them; they are long."""

    def __str__(self) -> str:
        return self.name

    @property
    def given(self) -> dict[str, Any]:
        """What is given to Helm."""
        return self.values if self.crds else merged({"crds": {"install": False}}, self.values)


Objects = dict[str, dict[str, Any]]
"""Manifests by KIND/NAME, and KIND/NAMESPACE/NAME in another namespace."""


def by_name(manifests: Any, namespace: str) -> Objects:
    """Return objects by their names, of which none is twice."""
    out: Objects = {}
    for one in manifests:
        if one is None:
            continue
        metadata = one["metadata"]
        space = metadata.get("namespace", namespace)
        key = "/".join([one["kind"], *([space] if space != namespace else []), metadata["name"]])
        assert key not in out, key
        out[key] = one
    return out


def by_helm(folder: Path, case: Case) -> Objects:
    """Return what helm renders. Fails where it refuses."""
    file = folder / "values.json"
    file.write_text(json.dumps(case.given))
    done = helm(
        folder, "template", case.release, str(CHART), "-n", case.namespace, "-f", str(file)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return by_name(yaml.load_all(done.stdout, _LOADER), case.namespace)


def by_us(case: Case) -> Objects:
    """Return what `tocsin install` renders, with Helm's word for who installs."""
    chart = Chart.ours()
    values = checked(merged(chart.values, case.given))
    found = chart.render(values, Release(case.release, case.namespace, "Helm"))
    return by_name([one.manifest for one in found], case.namespace)
