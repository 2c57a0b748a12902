"""`tocsin rbac`, as far as it asks no cluster."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tocsin.rbac import command

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "bucket-workflow")


@pytest.mark.parametrize(("words", "place"), [((), "default"), (("-n", "shop"), "shop")])
def test_rights_are_in_the_namespace_that_is_asked_for(words, place):
    done = CliRunner().invoke(command, [EXAMPLE, "--offline", *words], catch_exceptions=False)
    made = [one for one in yaml.safe_load_all(done.stdout) if one]

    assert {one["metadata"]["namespace"] for one in made} == {place}
    assert {one["namespace"] for m in made for one in m.get("subjects", ())} == {place}
