"""What is done in a repository of GitHub: one function for each part of the block.

Each says what it did, or raises TriggerError. Comments carry a mark that is not shown: by it one
is found again, be it to edit it or because the same message is sent once more.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from services.fitting import cut, filled, word
from services.github_api import Api
from services.service import merged
from services.structures import not_json
from services.web import json_of, several
from spine.errors import TriggerError

DESCRIPTION = 140
"""Characters of a description that GitHub takes."""
LONGEST = 65_536
"""Characters of a comment that GitHub takes; a little less of a check's texts."""
TOO_MANY = b"maximum number of statuses"
"""What GitHub says of a commit that has 1000 statuses of one label."""
ENVIRONMENT = "production"
"""Where a deployment goes where nothing is said, as GitHub has it."""
EXTERNAL_ID = "argocd-notifications"
"""What checks are called by us: as Argo's engine has it, so that its ones are ours, too."""
_INVALID = 422
_NOT_YET = 409


class Done(NamedTuple):
    """What was done."""

    said: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What all parts of a message have in common."""

    api: Api
    owner: str
    name: str
    revision: str
    text: str
    key: str

    @property
    def path(self) -> str:
        """The repository in paths of the API."""
        return f"/repos/{quote(self.owner, safe='')}/{quote(self.name, safe='')}"

    @property
    def shown(self) -> str:
        """The repository in messages."""
        return f"{self.owner}/{self.name}"

    def commit(self, what: str) -> str:
        """Return the revision. Raises TriggerError where there is none."""
        if self.revision in {"", ".", ".."}:  # steps of a path lead elsewhere
            raise TriggerError(
                f"{what}: there is no revision", hint="write github.revisionPath", permanent=True
            )
        return self.revision


Act = Callable[[Job, Mapping[str, Any]], Awaitable[Done]]


async def status(job: Job, part: Mapping[str, Any]) -> Done:
    """Set a status of the commit."""
    what = f"setting a status in {job.shown}"
    body = filled(
        state=word(part, "state"),
        target_url=word(part, "targetURL"),
        description=cut(job.text, DESCRIPTION),
        context=word(part, "label"),
    )
    path = f"{job.path}/statuses/{quote(job.commit(what), safe='')}"
    response = await job.api.ask(what, "POST", path, merged(body, part.get("extra")))
    if response.status == _INVALID and TOO_MANY in response.body:
        return Done("no status", "GitHub takes no more statuses of this commit and label")
    if not response.ok:
        raise job.api.refusal(what, response)
    return Done(f"status {word(part, 'state')}")


async def deployment(job: Job, part: Mapping[str, Any]) -> Done:
    """Set the status of a deployment; of the one that is there, else of a new one."""
    what = f"recording a deployment in {job.shown}"
    number = await _deployment(job, part, what)
    body = filled(
        state=word(part, "state"),
        description=cut(job.text, DESCRIPTION),
        environment=word(part, "environment"),
        environment_url=word(part, "environmentURL"),
        log_url=word(part, "logURL"),
    )
    path = f"{job.path}/deployments/{number}/statuses"
    await job.api.call(what, "POST", path, merged(body, part.get("extra")))
    return Done(f"deployment {word(part, 'state')}")


async def _deployment(job: Job, part: Mapping[str, Any], what: str) -> int:
    """Return the number of the deployment. Raises TriggerError."""
    ref = word(part, "reference") or job.commit(what)
    environment = word(part, "environment") or ENVIRONMENT
    query = f"ref={quote(ref, safe='')}&environment={quote(environment, safe='')}&per_page=1"
    found = await job.api.call(what, "GET", f"{job.path}/deployments?{query}")
    if isinstance(found, list) and found:
        return _id(found[0], what)
    body = filled(ref=ref, environment=environment) | {
        "auto_merge": _flag(part, "autoMerge", default=True),
        "transient_environment": _flag(part, "transientEnvironment", default=False),
    }
    if isinstance(part.get("requiredContexts"), list):
        body["required_contexts"] = part["requiredContexts"]
    for _ in range(2):  # the first may do no more than merge the default branch
        response = await job.api.ask(what, "POST", f"{job.path}/deployments", body)
        if not response.ok:
            error = job.api.refusal(what, response)
            error.permanent = error.permanent and response.status != _NOT_YET  # checks still run
            raise error
        if response.status != 202:  # noqa: PLR2004 -- merged, and nothing created yet
            break
    else:
        raise TriggerError(f"{what}: GitHub merged the default branch twice, and created nothing")
    return _id(json_of(response.body), what)


async def pull_request_comment(job: Job, part: Mapping[str, Any]) -> Done:
    """Comment on all pull requests that have the commit; edit what has the same tag."""
    what = f"commenting on pull requests of {job.shown}"
    tag = word(part, "commentTag").replace("-->", "")
    mark = f"<!-- argocd-notifications {tag} -->" if tag else f"<!-- tocsin {job.key} -->"
    content = word(part, "content") or job.text
    if not content:
        raise TriggerError(f"{what}: the comment is empty", permanent=True)
    text = f"{cut(content, LONGEST - len(mark) - 2)}\n\n{mark}"
    body = merged({"body": text}, part.get("extra"))
    path = f"{job.path}/commits/{quote(job.commit(what), safe='')}/pulls"
    numbers = [_id(pull, what, "number") async for pull in job.api.items(what, path)]
    refusals = []
    for number in numbers:
        try:
            await _comment(job, number, mark, body)
        except TriggerError as exc:
            refusals.append(exc)
    if refusals:
        raise several(refusals)
    said = ", ".join(f"#{number}" for number in numbers)
    return Done(f"comment on {said}" if numbers else "no pull request has this commit")


async def _comment(job: Job, number: int, mark: str, body: dict[str, Any]) -> None:
    what = f"commenting on #{number} of {job.shown}"
    comments = f"{job.path}/issues/{number}/comments"
    async for found in job.api.items(what, comments):
        if mark in str(found.get("body")) and _by_app(found):
            if str(found["body"]).replace("\r\n", "\n") != body["body"]:
                path = f"{job.path}/issues/comments/{_id(found, what)}"
                await job.api.call(what, "PATCH", path, body)
            return
    await job.api.call(what, "POST", comments, body)


def _by_app(comment: Mapping[str, Any]) -> bool:
    """Return whether an App wrote a comment; people who quote one quote its mark, too."""
    user = comment.get("user")
    return not isinstance(user, dict) or user.get("type", "Bot") == "Bot"


async def check_run(job: Job, part: Mapping[str, Any]) -> Done:
    """Create a check of the commit."""
    what = f"creating a check in {job.shown}"
    name, conclusion = word(part, "name"), word(part, "conclusion")
    state = word(part, "status") or ("completed" if conclusion else "")
    if state == "completed" and not conclusion:
        raise TriggerError(
            f"{what}: status completed needs a conclusion",
            hint="write github.checkRun.conclusion",
            permanent=True,
        )
    body = filled(
        name=name,
        head_sha=job.commit(what),
        external_id=EXTERNAL_ID,
        details_url=word(part, "details_url"),
        status=state,
        conclusion=conclusion,
        started_at=_moment(part, "started_at", what),
        completed_at=_moment(part, "completed_at", what),
        output=_output(job, part, name),
    )
    await job.api.call(what, "POST", f"{job.path}/check-runs", merged(body, part.get("extra")))
    return Done(f"check {conclusion or state or 'queued'}")


def _output(job: Job, part: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a check shows; GitHub wants a title and a summary where there is anything."""
    output = part.get("output")
    if not isinstance(output, dict):
        return {}
    found = filled(**{key: word(output, key) for key in ("title", "summary", "text")})
    if not found:
        return {}
    found = {"title": name, "summary": job.text or name, **found}
    return {key: cut(text, LONGEST - 1) for key, text in found.items()}


async def repository_dispatch(job: Job, part: Mapping[str, Any]) -> Done:
    """Send an event to the repository."""
    what = f"sending an event to {job.shown}"
    payload = _payload(part.get("client_payload"), what)
    body = filled(event_type=word(part, "event_type"), client_payload=payload)
    await job.api.call(what, "POST", f"{job.path}/dispatches", merged(body, part.get("extra")))
    return Done(f"event {word(part, 'event_type')}")


ACTS: Mapping[str, Act] = {
    "status": status,
    "deployment": deployment,
    "pullRequestComment": pull_request_comment,
    "checkRun": check_run,
    "repositoryDispatch": repository_dispatch,
}
"""What there is to do, by the key of the block."""


def _payload(value: Any, what: str) -> dict[str, Any]:
    """Return an object that is written in JSON or YAML. Raises TriggerError."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, str):
        broken = not_json(value)
        value = None if broken else json_of(value.encode())
    else:
        broken = ""
    if not isinstance(value, dict):
        raise TriggerError(f"{what}: client_payload is {broken or 'no object'}", permanent=True)
    return value


def _moment(part: Mapping[str, Any], key: str, what: str) -> str:
    text = word(part, key)
    try:
        known = not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise TriggerError(
            f"{what}: {key} {text!r} is no time", hint="write 2006-01-02T15:04:05Z", permanent=True
        )
    return text


def _flag(part: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = part.get(key)
    return default if value is None else value is True or word(part, key).lower() == "true"


def _id(found: Any, what: str, key: str = "id") -> int:
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, int):
        raise TriggerError(f"{what}: the answer has no {key}")
    return value
