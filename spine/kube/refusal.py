"""What a refused request lacks, in the words of a Role.

The API tells who may not do what; the rule that would allow it can be read off that sentence.
"""

import re
from typing import NamedTuple

_SENTENCE = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r' in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)?'
)


class Refusal(NamedTuple):
    """Who may not do what, where."""

    user: str = ""
    verb: str = ""
    resource: str = ""
    """Plural, with a subresource after a slash."""
    group: str = ""
    namespace: str = ""
    """Empty: the whole cluster."""

    @classmethod
    def of(cls, message: str) -> "Refusal":
        """Return what a message of the API says; empty where it says nothing of the kind."""
        found = _SENTENCE.search(message)
        if found is None:
            return cls()
        groups = found.groupdict()
        return cls(**{key: value or "" for key, value in groups.items()})

    @property
    def hint(self) -> str:
        """The rule that is missing, and for whom; empty where it is not known."""
        if not self.verb:
            return ""
        kind = f"a Role in {self.namespace}" if self.namespace else "a ClusterRole"
        return (
            f'{self.user} needs {kind} with apiGroups: ["{self.group}"], '
            f'resources: ["{self.resource}"], verbs: ["{self.verb}"]; tocsin rbac prints all rules'
        )
