"""What is wanted for objects, as YAML: `golden/NAME.yaml` is what `golden/NAME.in.yaml` gives.

`TOCSIN_GOLDEN=write` writes the files anew; read what changed before it is committed.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.roles import Named
from controller.workload import Known, Options, desired
from controller.workload.checking import look

FOLDER = Path(__file__).parent / "golden"
INPUTS = sorted(FOLDER.glob("*.in.yaml"))
BUS = {
    "jetstream": {
        "url": "nats://eventbus-default-js-svc.ns.svc:4222",
        "accessSecret": {"name": "eventbus-default-js-client-auth", "key": "client-auth"},
    }
}
OPTIONS = Options(image="tocsin:1", env={"TOCSIN_EGRESS": "any"})


def manifests(file: Path) -> list[dict[str, Any]]:
    """Return what is wanted for the object of a file."""
    raw = yaml.safe_load(file.read_text())
    raw["metadata"] |= {
        "namespace": "ns",
        "uid": "u",
        "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    looked = look(raw)
    assert not looked.errors
    options, known = OPTIONS, Known({("Secret", "hub"): "abc"})
    if "account" in file.name:
        options = Options(image="tocsin:1", make_service_accounts=True)
        rights = [Named("ns", "", "configmaps", verb) for verb in ("create", "get")]
        known = Known(rights=rights)
    return [_readable(one) for one in desired(looked.checked, BUS, options, known)]


def _readable(made: dict[str, Any]) -> dict[str, Any]:
    """Return a Secret with what is in it."""
    if made["kind"] != "Secret":
        return made
    found = {key: json.loads(base64.b64decode(value)) for key, value in made["data"].items()}
    return {**made, "data": found}


@pytest.mark.parametrize("file", INPUTS, ids=lambda file: file.name.removesuffix(".in.yaml"))
def test_golden(file: Path) -> None:
    golden = file.with_name(file.name.replace(".in.yaml", ".yaml"))
    found = manifests(file)
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        golden.write_text(yaml.safe_dump_all(found, sort_keys=False))
    assert found == list(yaml.safe_load_all(golden.read_text()))


def test_there_are_files() -> None:
    kinds = {yaml.safe_load(file.read_text())["kind"] for file in INPUTS}
    assert kinds == {"EventSource", "Sensor", "Notifier"}
