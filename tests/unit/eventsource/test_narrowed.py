"""A process imports the kinds that its object has, however their keys are written."""

import subprocess
import sys

import pytest
from tocsin_run import environment

from eventsource.spec import EventSourceSpec, kinds

PROGRAM = """
import sys
from eventsource.narrowed import narrow_to
narrow_to(dict.fromkeys(sys.argv[1].split(",")))
from eventsource.spec import kinds
print(*kinds())
"""


@pytest.mark.parametrize("form", ["field", "UPPER", "none"])
def test_kinds_that_an_object_has(form):
    fields = EventSourceSpec.model_fields
    upper = [(fields[kind].alias or kind).upper() for kind in kinds()]
    names = {"field": list(kinds()), "UPPER": upper, "none": []}

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(["replicas", *names[form]])],
        capture_output=True, text=True, check=True, timeout=120, env=environment(),
    )  # fmt: skip

    assert done.stdout.split() == ([] if form == "none" else list(kinds()))


def test_one_that_comes_too_late_changes_nothing():
    from eventsource.narrowed import imported, narrow_to

    narrow_to({"webhook": {}})

    assert imported("sftp", "Sftp") is kinds()["sftp"]
