"""The events of GitLab's hooks, as manifests name them: the fields of a Go client."""

import re

EVENTS = (
    "ConfidentialIssuesEvents",
    "ConfidentialNoteEvents",
    "DeploymentEvents",
    "EmojiEvents",
    "IssuesEvents",
    "JobEvents",
    "MergeRequestsEvents",
    "NoteEvents",
    "PipelineEvents",
    "PushEvents",
    "ReleasesEvents",
    "ResourceAccessTokenEvents",
    "TagPushEvents",
    "VulnerabilityEvents",
    "WikiPageEvents",
)
NOT_OF_GROUPS = frozenset(
    {"DeploymentEvents", "ReleasesEvents", "ResourceAccessTokenEvents", "VulnerabilityEvents"}
)
"""Events that hooks of groups are not registered for, as in Argo Events."""
VERIFY = "EnableSSLVerification"
"""No event, but Argo Events takes it among them, as the field of that name."""
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def settings(events: frozenset[str], *, group: bool) -> dict[str, bool]:
    """Return what a hook says of each event: those that are not named are false."""
    known = [name for name in EVENTS if not (group and name in NOT_OF_GROUPS)]
    return {_WORD.sub("_", name).lower(): name in events for name in known}
