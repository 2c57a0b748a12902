"""What a template says to GitHub: any of a status, a deployment, comments, a check, an event."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from services.service import Block
from spine.model import Model

_SOURCE = (
    "{{ with .app.spec.source }}{{ .repoURL }}"
    "{{ else }}{{ with .app.spec.sources }}{{ (index . 0).repoURL }}{{ end }}{{ end }}"
)
_RESULT = (
    "{{ with .app.status.operationState.syncResult }}"
    "{{ with .revision }}{{ . }}"
    "{{ else }}{{ with .revisions }}{{ index . 0 }}{{ end }}{{ end }}{{ end }}"
)


class Part(Model):
    """A part that becomes a request."""

    extra: dict[str, Any] = {}
    """Ours: members put into the body of the request."""


class Status(Part):
    """A status of the commit, with the message as its description."""

    state: str = ""
    """`error`, `failure`, `pending` or `success`."""
    label: str = ""
    """What tells it from other statuses."""
    target_url: Annotated[str, Field(alias="targetURL")] = ""
    """Where more is to be seen."""


class Deployment(Part):
    """A deployment of the commit, and its status."""

    state: str = ""
    """State of the deployment, such as `success`."""
    environment: str = ""
    """Where it was deployed to."""
    environment_url: Annotated[str, Field(alias="environmentURL")] = ""
    """Where it is to be seen."""
    log_url: Annotated[str, Field(alias="logURL")] = ""
    """Where its log is."""
    required_contexts: list[str] | None = None
    """Statuses that the commit must have; all it has where it is not written."""
    auto_merge: bool | None = None
    """Whether the default branch is merged into the reference first; so it is by default."""
    transient_environment: bool | None = None
    """Whether the environment goes away some day."""
    reference: str = ""
    """Branch, tag or commit; the revision where it is empty."""


class PullRequestComment(Part):
    """A comment on each pull request that has the commit."""

    content: str = ""
    """What it says; the message where it is empty."""
    comment_tag: str = ""
    """Name of the comment: the one of that name is edited, instead of a new one each time."""


class Output(Model):
    """What a check shows."""

    title: str = ""
    """Title; the check's name where it is empty."""
    summary: str = ""
    """Summary; the message where it is empty."""
    text: str = ""
    """All the rest."""


class CheckRun(Part):
    """A check of the commit."""

    name: str = ""
    """Its name."""
    details_url: Annotated[str, Field(alias="details_url")] = ""
    """Where more is to be seen."""
    status: str = ""
    """`queued`, `in_progress` or `completed`; completed where there is a conclusion."""
    conclusion: str = ""
    """How it ended, such as `success`."""
    started_at: Annotated[str, Field(alias="started_at")] = ""
    """When it began, as 2006-01-02T15:04:05Z."""
    completed_at: Annotated[str, Field(alias="completed_at")] = ""
    """When it ended."""
    output: Output | None = None
    """What it shows."""


class RepositoryDispatch(Part):
    """An event that starts the repository's workflows."""

    event_type: Annotated[str, Field(alias="event_type")] = ""
    """Name of the event."""
    client_payload: Annotated[str | dict[str, Any], Field(alias="client_payload")] = ""
    """What it carries: an object in JSON, or in YAML."""


class GithubBlock(Block):
    """What is done in a repository, about a commit of it; all that is written is done."""

    defaults: ClassVar[Mapping[str, str]] = {"repoURLPath": _SOURCE, "revisionPath": _RESULT}

    repo_url_path: Annotated[str, Field(alias="repoURLPath")] = ""
    """URL of the repository; the (first) source of an Argo CD Application where it is not
    written."""
    revision_path: Annotated[str, Field(alias="revisionPath")] = ""
    """The commit; what an Argo CD Application was synced to where it is not written."""
    status: Status | None = None
    """A status of the commit."""
    deployment: Deployment | None = None
    """A deployment of it."""
    pull_request_comment: PullRequestComment | None = None
    """Comments on its pull requests."""
    check_run: CheckRun | None = None
    """A check of it."""
    repository_dispatch: RepositoryDispatch | None = None
    """An event of the repository."""
