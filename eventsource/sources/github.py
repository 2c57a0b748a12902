"""GitHub: an event for each delivery of a webhook of repositories or organizations.

A delivery is answered 200 once its event is stored; one that is sent again is the same event. With
a URL and credentials the hooks are registered and looked after, beside what is served.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from eventsource import web
from eventsource.answers import SUCCESS, Answer
from eventsource.bodies import event_id, metadata_member
from eventsource.context import WebhookContext
from eventsource.github import request as github
from eventsource.github.hooks import Wanted
from eventsource.github.logins import Logins, api_url
from eventsource.refusing import refusing
from eventsource.registration import Registration, registered
from eventsource.rotating import Rotating
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.fields import Flag, Integer, Name
from spine.model import Model, warn
from spine.runtime import Env
from spine.secrets import SecretRef


class Repositories(Model):
    """Repositories of one owner."""

    owner: Name
    """User or organization."""
    names: Annotated[list[Name], Field(min_length=1)]
    """Names of the repositories."""


class GithubApp(Model):
    """An App of GitHub that registers the hooks."""

    private_key: SecretRef
    """Its private key, PEM."""
    app_id: Annotated[Integer, Field(alias="appID")]
    """Its number."""
    installation_id: Annotated[Integer, Field(alias="installationID")]
    """Number of its installation for the owner of the repositories."""


class Github(Source):
    """Receives the webhooks of GitHub.

    Hooks are made and kept up to date where `webhook.url` and `apiToken` or `githubApp` are given;
    the token needs the permission Webhooks, read and write. What nobody signed is refused where
    there is a `webhookSecret`.
    """

    type: ClassVar[str] = "github"
    answers: ClassVar[bool] = True
    example: ClassVar[Payload] = github.GithubEvent(
        b'{"Content-Type":["application/json"],'
        b'"X-Github-Delivery":["72d3162e-cc78-11e3-81ab-4c9367dc0958"],'
        b'"X-Github-Event":["issues"],'
        b'"X-Hub-Signature-256":["sha256='
        b'757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"]}',
        b'{"X-GitHub-Delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","X-GitHub-Event":"issues",'
        b'"action":"opened","issue":{"number":7,"title":"It does not start"},'
        b'"repository":{"full_name":"shop/web","id":35129377}}',
        b',"metadata":{"team":"web"}',
    )
    webhook: WebhookContext
    """Where GitHub posts to."""
    repositories: list[Repositories] = []
    """Repositories that have the hook."""
    organizations: list[Name] = []
    """Organizations that have the hook, in place of repositories."""
    owner: str = ""
    """Old form: owner of the one repository."""
    repository: str = ""
    """Old form: the one repository."""
    events: list[Name] = []
    """Events that hooks are registered for, such as `push`; `*` is all of them."""
    api_token: SecretRef | None = None
    """Token that registers hooks; it comes before `githubApp`. Read again when it changes."""
    github_app: GithubApp | None = None
    """App that registers hooks."""
    webhook_secret: SecretRef | None = None
    """Secret that GitHub signs with; hooks are registered with it. Where it changes, the one
    before is good for five minutes more."""
    insecure: Flag = False
    """Whether GitHub takes any certificate of ours."""
    active: Flag = False
    """Whether hooks that are made send events. Written out as false, those that are there are
    switched off."""
    content_type: Literal["json", "form", ""] = ""
    """What GitHub posts; both are understood, and where it is empty GitHub decides."""
    github_base_url: Annotated[str, Field(alias="githubBaseURL")] = ""
    """API of a GitHub server of one's own, such as `https://github.example.com/`."""
    github_upload_url: Annotated[str, Field(alias="githubUploadURL")] = ""
    """Of no effect: nothing is uploaded. Argo Events wants it beside `githubBaseURL`."""
    delete_hook_on_finish: Flag = False
    """Whether the hooks are deleted when this process stops; what happens until it starts again
    is then never received, and replicas share the hooks that are deleted."""
    id: Integer = 0
    """Of no effect."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which deliveries become events."""

    @field_validator("github_base_url", "github_upload_url")
    @classmethod
    def _url(cls, url: str) -> str:
        if url:
            api_url(url)
        return url

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.repositories and self.organizations:
            raise ValueError("set one of repositories and organizations: both would tell all twice")
        if bool(self.owner) != bool(self.repository):
            raise ValueError("owner and repository go together (write repositories)")
        self._check_hooks()
        self._warn_of_trust()
        return self

    def _check_hooks(self) -> None:
        places = bool(self.repository_names or self.organizations)
        if self.manages:
            if not places:
                raise ValueError("needs repositories or organizations, to register hooks for")
            if not self.events:
                raise ValueError("needs events, to register hooks for (such as push, or *)")
            if not self.active:
                warn("active: hooks are made inactive and send nothing (write active: true)")
        elif not places:
            warn("repositories: Argo Events wants them, or organizations")
        if self.manages or not self.has_login:
            return
        warn("webhook.url: without it no hooks are registered, and the credentials are for nothing")

    def _warn_of_trust(self) -> None:
        if self.api_token and self.github_app:
            warn("githubApp: of no effect beside apiToken")
        if bool(self.github_base_url) != bool(self.github_upload_url):
            warn("githubBaseURL: Argo Events wants githubUploadURL, too, or neither")
        if self.webhook_secret is None and self.webhook.auth_secret is None:
            warn("webhookSecret: without it whoever reaches the endpoint can make up events")

    @property
    def has_login(self) -> bool:
        """Whether there are credentials for the API."""
        return self.api_token is not None or self.github_app is not None

    @property
    def manages(self) -> bool:
        """Whether hooks are registered."""
        return self.has_login and bool(self.webhook.url)

    @property
    def repository_names(self) -> list[tuple[str, str]]:
        """Owner and name of each repository."""
        if self.repositories:
            return [(one.owner, name) for one in self.repositories for name in one.names]
        return [(self.owner, self.repository)] if self.owner else []

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        secret = Rotating(env.secrets, self.webhook_secret) if self.webhook_secret else None
        hook = self.webhook
        route = hook.route(env, self._handler(env, emit, secret))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                web.serve(env, int(hook.port), route, hook.certificate(env))
            )
            if self.manages:
                registration = await self._registration(env, secret)
                delete = self.delete_hook_on_finish
                await stack.enter_async_context(registered(registration, delete=delete))
            env.listening()
            await asyncio.Event().wait()  # until cancelled

    async def _registration(self, env: Env, secret: Rotating | None) -> Registration:
        logins = await Logins.of(env, self)
        refs = [
            self.webhook_secret,
            self.api_token or (self.github_app and self.github_app.private_key),
        ]
        return Registration(
            env,
            self.webhook.hook_url,
            lambda: logins.places(self._wanted(secret)),
            [ref for ref in refs if ref],
        )

    def _wanted(self, secret: Rotating | None) -> Wanted:
        said = self.model_fields_set
        return Wanted(
            self.webhook.hook_url,
            frozenset(self.events),
            active=self.active if "active" in said else None,
            insecure=self.insecure if "insecure" in said else None,
            content_type=self.content_type or None,
            secret=secret.value if secret else None,
        )

    def _handler(self, env: Env, emit: Emit, secret: Rotating | None) -> web.Handler:
        metadata = metadata_member(self.metadata)
        refuse = refusing(env, "a delivery that nobody signed whom we trust")

        async def handle(request: web.Request) -> Answer:
            if secret is not None:
                wrong = github.refusal(request, secret.values())
                if wrong is not None:
                    return refuse(wrong)
            if not github.understood(request.fields):
                return github.NO_JSON_TYPE
            try:
                payload = github.event_of(request, metadata)
            except ValueError as exc:
                return Answer(400, f"{exc}\n")
            number = github.delivery(request.fields)
            parts = (env.object, env.name, number)
            await emit(payload, id=event_id(parts, request.body) if number else None)
            return SUCCESS

        return handle
