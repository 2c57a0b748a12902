"""What is wrong with the customizations of health, where it stands and what to write instead."""

from typing import NamedTuple

from typing_extensions import override


class HealthProblem(NamedTuple):
    """One complaint about the data of a ConfigMap."""

    key: str
    """Key of the data, such as `resource.customizations.health.apps_Deployment`."""
    message: str
    line: int = 1
    """Line within the value of the key, from 1."""
    severity: str = "error"
    """`error`: the check is not in use; `warning`: it is."""

    @override
    def __str__(self) -> str:
        return f"{self.key}:{self.line}: {self.message}"
