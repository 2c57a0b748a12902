"""Every recorded vector comes out as recorded, or deviates as declared.

The vectors of `../shared` run where that folder exists, our own slice always.
"""

from functools import cache

import pytest
from vectors.corpus import FOLDERS, OWN, read
from vectors.deviations import DEVIATIONS
from vectors.families import TABLE
from vectors.outcome import Vector
from vectors.verdict import Verdict, verdict

VECTORS = {
    vector["id"]: vector for folder in (*FOLDERS, OWN) if folder.is_dir() for vector in read(folder)
}


@cache
def judged(identity: str) -> Verdict:
    return verdict(VECTORS[identity])


@pytest.mark.parametrize("identity", VECTORS)
def test_vector(identity: str) -> None:
    found = judged(identity)
    assert found.kind != "failed", (found.why, VECTORS[identity]["expect"], found.got, found.trace)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda d: d.name)
def test_no_waiver_is_unneeded(deviation) -> None:
    covered = [i for i in VECTORS if judged(i).why == deviation.name]
    assert covered, f"{deviation.name}: nothing deviates so any more: unneeded waiver"


def test_reasons_are_few() -> None:
    assert len({d.name for d in DEVIATIONS}) == len(DEVIATIONS)
    assert all(d.reason and d.groups for d in DEVIATIONS)
    assert all(g.split(".")[0] in TABLE for d in DEVIATIONS for g in d.groups)


@pytest.mark.parametrize("family", TABLE)
def test_our_own_slice_has_some_of_each_family(family: str) -> None:
    own: list[Vector] = [v for v in read(OWN) if v["family"] == family]
    assert len(own) >= 10
