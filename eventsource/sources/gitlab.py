"""GitLab: an event for each delivery of a webhook of projects or groups.

A delivery is answered 200 once its event is stored; one that is sent again is the same event.
With a URL the hooks are registered and looked after, beside what is served.
"""

import asyncio
import difflib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from eventsource import web
from eventsource.answers import SUCCESS, Answer
from eventsource.bodies import metadata_member
from eventsource.context import WebhookContext, same
from eventsource.gitlab import events as known
from eventsource.gitlab import request as gitlab
from eventsource.gitlab.hooks import Wanted, api_url
from eventsource.gitlab.logins import Logins
from eventsource.refusing import refusing
from eventsource.registration import Registration, registered
from eventsource.rotating import Rotating
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.fields import Flag, Name
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef

NO_TOKEN = Answer(401, "token mismatch\n")
WRONG_TOKEN = Answer(403, "token mismatch\n")


class Gitlab(Source):
    """Receives the webhooks of GitLab.

    Hooks are made and kept up to date where `webhook.url` is given; the token needs the scope
    `api` and the role Maintainer of projects, Owner of groups. What does not present the
    `secretToken` is refused where there is one, also where the hook was made by hand.
    """

    type: ClassVar[str] = "gitlab"
    answers: ClassVar[bool] = True
    example: ClassVar[Payload] = gitlab.GitlabEvent(
        b'{"Content-Type":["application/json"],'
        b'"Idempotency-Key":["f5e5f430-f57b-4e6e-9fac-d9128cd7232f"],'
        b'"X-Gitlab-Event":["Issue Hook"],'
        b'"X-Gitlab-Event-Uuid":["13792a34-cac6-4fda-95a8-c58e00a3954e"],'
        b'"X-Gitlab-Token":["*** Masked Auth Secret ***"]}',
        b'{"object_kind":"issue","project":{"id":7,"path_with_namespace":"shop/web"},'
        b'"object_attributes":{"iid":23,"title":"It does not start","action":"open"}}',
        b',"metadata":{"team":"web"}',
    )
    webhook: WebhookContext
    """Where GitLab posts to."""
    projects: list[Name] = []
    """Numbers or paths of projects that have the hook."""
    project_id: Annotated[str, Field(alias="projectID")] = ""
    """Old form: the one project."""
    groups: list[Name] = []
    """Numbers or paths of groups that have the hook."""
    events: list[str] = []
    """Events that hooks are registered for, such as `PushEvents`."""
    gitlab_base_url: Annotated[str, Field(alias="gitlabBaseURL")] = ""
    """URL of GitLab, such as `https://gitlab.com`."""
    access_token: SecretRef | None = None
    """Token that registers hooks. Read again when it changes."""
    enable_ssl_verification: Annotated[Flag, Field(alias="enableSSLVerification")] = False
    """Whether GitLab verifies our certificate; hooks that are there are changed where it is
    written out."""
    secret_token: SecretRef | None = None
    """Token that GitLab presents; hooks are registered with it. Where it changes, the one before
    is good for five minutes more. It never stands in a payload."""
    delete_hook_on_finish: Flag = False
    """Whether the hooks are deleted when this process stops; what happens until it starts again
    is then never received, and replicas share the hooks that are deleted."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which deliveries become events."""

    @field_validator("gitlab_base_url")
    @classmethod
    def _url(cls, url: str) -> str:
        if url:
            api_url(url)
        return url

    @field_validator("events")
    @classmethod
    def _known(cls, events: list[str]) -> list[str]:
        for name in events:
            if name not in {*known.EVENTS, known.VERIFY}:
                near = difflib.get_close_matches(name, known.EVENTS, n=1)
                hint = f"did you mean {near[0]}" if near else f"one of {', '.join(known.EVENTS)}"
                msg = f"no event is called {name!r} ({hint})"
                raise ValueError(msg)
        return events

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.manages:
            self._check_hooks()
        elif not (self.gitlab_base_url and self.access_token and self.events):
            warn("gitlab: Argo Events wants events, gitlabBaseURL and accessToken in any case")
        if self.secret_token is None and self.webhook.auth_secret is None:
            warn("secretToken: without it whoever reaches the endpoint can make up events")
        if self.groups and (dropped := sorted(known.NOT_OF_GROUPS & set(self.events))):
            warn(f"events: {', '.join(dropped)}: not registered for groups, as in Argo Events")
        return self

    def _check_hooks(self) -> None:
        wanted: Mapping[str, object] = {
            "events": self.events,
            "gitlabBaseURL": self.gitlab_base_url,
            "accessToken": self.access_token,
            "projects or groups": self.project_names or self.groups,
        }
        if missing := [name for name, value in wanted.items() if not value]:
            raise ValueError(
                f"needs {', '.join(missing)}, to register hooks with (or no webhook.url, where the"
                " hooks are made by hand)"
            )

    @property
    def manages(self) -> bool:
        """Whether hooks are registered."""
        return bool(self.webhook.url)

    @property
    def project_names(self) -> list[str]:
        """The projects, also the one of the old form."""
        return self.projects or ([self.project_id] if self.project_id else [])

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        token = Rotating(env.secrets, self.secret_token) if self.secret_token else None
        hook = self.webhook
        route = hook.route(env, self._handler(env, emit), _guard(env, token) if token else None)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                web.serve(env, int(hook.port), route, hook.certificate(env))
            )
            if self.manages:
                registration = await self._registration(env, token)
                delete = self.delete_hook_on_finish
                await stack.enter_async_context(registered(registration, delete=delete))
            env.listening()
            await asyncio.Event().wait()  # until cancelled

    async def _registration(self, env: Env, token: Rotating | None) -> Registration:
        logins = await Logins.of(env, self)
        refs = [ref for ref in (self.access_token, self.secret_token) if ref]
        return Registration(
            env, self.webhook.hook_url, lambda: logins.places(self._wanted(token)), refs
        )

    def _wanted(self, token: Rotating | None) -> Wanted:
        said = "enable_ssl_verification" in self.model_fields_set
        verify = self.enable_ssl_verification if said else None
        return Wanted(
            self.webhook.hook_url,
            frozenset(self.events) - {known.VERIFY},
            verify=True if known.VERIFY in self.events else verify,
            token=token.value if token else None,
        )

    def _handler(self, env: Env, emit: Emit) -> web.Handler:
        metadata = metadata_member(self.metadata)
        place = (env.object, env.name)

        async def handle(request: web.Request) -> Answer:
            try:
                payload = gitlab.event_of(request, metadata)
            except ValueError as exc:
                return Answer(400, f"{exc}\n")
            await emit(payload, id=gitlab.known_as(place, request))
            return SUCCESS

        return handle


def _guard(env: Env, token: Rotating) -> web.Admit:
    """Return what looks at the token of a request before its body is read."""
    refuse = refusing(env, "a delivery without the secret token")

    async def admit(fields: Mapping[bytes, bytes]) -> Answer | None:
        given = fields.get(gitlab.TOKEN)
        if not given:
            return refuse(NO_TOKEN)
        good = [same(given, value) for value in token.values()]
        return None if any(good) else refuse(WRONG_TOKEN)

    return admit
