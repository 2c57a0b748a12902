"""GitHub: statuses, deployments, comments, checks and events of a repository, as a GitHub App.

All parts that a template has are done, each for itself: one that is refused does not keep the
others from being done. A message that is sent again does only what is missing, as far as this
process has seen it done; a comment that is there is found by its mark after a restart, too.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator
from typing_extensions import override

from services.fitting import word
from services.github_acts import ACTS, Done, Job
from services.github_api import Api, AppApi
from services.github_block import GithubBlock
from services.hiding import HIDDEN
from services.service import Block, Client, Message, Receipt, Service
from services.web import Transport, Web, several
from spine.errors import TriggerError
from spine.github_app import private_key
from spine.giturl import full_name
from spine.runtime import Env

REMEMBERED = 1_000
"""Messages of which is known what was done."""

Number = Annotated[str, BeforeValidator(str), Field(min_length=1)]
"""A number, also as a text: a secret is always one."""


class Github(Transport, Service):
    """Tells GitHub about a commit."""

    kind: ClassVar[str] = "github"
    block: ClassVar[type[Block] | None] = GithubBlock
    recipients: ClassVar[str] = "none: leave it empty"
    idempotent: ClassVar[str] = "a mark in comments that is not shown"
    example: ClassVar[str] = """
service.github: |
  appID: $github-app
  installationID: $github-installation
  privateKey: $github-key
template.deployed: |
  message: "{{ .app.metadata.name }} is deployed"
  github:
    status:
      state: success
      label: continuous-delivery/{{ .app.metadata.name }}
      targetURL: "https://argocd.example.com/applications/{{ .app.metadata.name }}"
    deployment:
      state: success
      environment: production
      requiredContexts: []
    pullRequestComment:
      content: "{{ .app.metadata.name }} is **deployed**."
      commentTag: "{{ .app.metadata.name }}"
"""

    app_id: Annotated[Number, Field(alias="appID")]
    """Number of the GitHub App."""
    installation_id: Annotated[Number, Field(alias="installationID")]
    """Number of its installation."""
    private_key: Annotated[str, HIDDEN, Field(min_length=1)]
    """Its private key, in PEM."""
    base_url: Annotated[str, Field(alias="enterpriseBaseURL")] = "https://api.github.com"
    """API of an own GitHub server; it ends in `/api/v3`."""

    @field_validator("base_url")
    @classmethod
    def _whole(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ValueError("no URL: write https://HOST/api/v3")
        named = parts.path.strip("/") or parts.hostname.startswith("api.")
        return url.rstrip("/") if named else f"{url.rstrip('/')}/api/v3"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Github, env: Env) -> AsyncIterator[Client]:
    key = private_key(service.private_key.replace("\\n", "\n"), "privateKey")
    web = await Web.of(env, service)
    yield _Client(AppApi(web, service.base_url, service.app_id, service.installation_id, key))


class _Client(Client):
    def __init__(self, api: Api) -> None:
        self._api = api
        self._done: OrderedDict[str, dict[str, Done]] = OrderedDict()
        """What was done of the last messages, by their key and by part."""

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        parts = _parts(message.block)
        job = _job(self._api, message, key)
        done = self._begun(key)
        refusals: list[TriggerError] = []
        for name, part in parts.items():
            if name not in done:
                try:
                    done[name] = await ACTS[name](job, part)
                except TriggerError as exc:
                    refusals.append(exc)
        if refusals:
            raise several(refusals)
        said = "; ".join(one.said for one in done.values())
        problems = tuple(one.problem for one in done.values() if one.problem)
        return Receipt(said, {"repository": job.shown, "revision": job.revision}, problems)

    def _begun(self, key: str) -> dict[str, Done]:
        """Return what was done of a message, to be added to."""
        done = self._done.setdefault(key, {})
        self._done.move_to_end(key)
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        return done


def _parts(block: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what is to be done. Raises TriggerError where that is nothing."""
    found: dict[str, Mapping[str, Any]] = {
        name: part for name in ACTS if isinstance(part := block.get(name), dict)
    }
    if not found:
        names = ", ".join(ACTS)
        raise TriggerError(
            "telling GitHub: the template says nothing to do there",
            hint=f"write one of github.{{{names}}}",
            permanent=True,
        )
    return found


def _job(api: Api, message: Message, key: str) -> Job:
    url = word(message.block, "repoURLPath")
    name = full_name(url)
    if name is None:
        shown = url.rpartition("@")[2]
        raise TriggerError(
            f"telling GitHub: {shown!r} names no repository",
            hint="write github.repoURLPath",
            permanent=True,
        )
    revision = word(message.block, "revisionPath")
    return Job(api, *name, revision, message.text.strip(), key)
