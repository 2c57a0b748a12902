"""URLs of repositories."""

from dataclasses import dataclass

import pytest

from spine.giturl import full_name, https_url


@dataclass(frozen=True)
class Case:
    url: str
    https: str
    name: tuple[str, str] | None

    def __str__(self) -> str:
        return self.url


CASES = [
    Case("https://github.com/o/r.git", "https://github.com/o/r.git", ("o", "r")),
    Case("https://me:secret@github.com/o/r", "https://github.com/o/r", ("o", "r")),
    Case("http://git.test:3000/o/r/", "http://git.test:3000/o/r/", ("o", "r")),
    Case("git@github.com:o/r.git", "https://github.com/o/r.git", ("o", "r")),
    Case("github.com:o/r", "https://github.com/o/r", ("o", "r")),
    Case("git@ssh.dev.azure.com:v3/o/p/r", "https://ssh.dev.azure.com/v3/o/p/r", ("v3", "o")),
    Case("ssh://git@github.com:22/o/r.git", "https://github.com/o/r.git", ("o", "r")),
    Case("git+ssh://git@github.com/o/r", "https://github.com/o/r", ("o", "r")),
    Case("https://[::1]:8443/o/r", "https://[::1]:8443/o/r", ("o", "r")),
    Case("https://github.com/../app", "https://github.com/../app", None),
    Case("https://github.com/o", "https://github.com/o", None),
    Case("https://github.com:port/o/r", "", None),
    Case("file:///o/r", "", None),
    Case("nonsense", "", None),
    Case("", "", None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_repository(case: Case) -> None:
    assert https_url(case.url) == case.https
    assert full_name(case.url) == case.name
