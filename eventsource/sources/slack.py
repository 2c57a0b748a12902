"""Slack: an event for each callback of the Events API, slash command and interaction.

A request is answered 200 once its event is stored; Slack sends callbacks again that it got no
answer to, and those are the same events. What Slack has not signed within five minutes is refused.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from pydantic import model_validator
from typing_extensions import override

from eventsource import web
from eventsource.answers import Answer
from eventsource.bodies import event_id
from eventsource.context import WebhookContext, same
from eventsource.refusing import refusing
from eventsource.rotating import Rotating
from eventsource.slack import request as slack
from eventsource.slack import signature
from eventsource.slack.payloads import SlackEvent
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef

log = logging.getLogger(__name__)

WRONG_TOKEN = Answer(403, "the verification token is wrong\n")


class Slack(Source):
    """Receives what Slack posts for an app.

    The URL is the same for event subscriptions, slash commands and interactivity.
    """

    type: ClassVar[str] = "slack"
    answers: ClassVar[bool] = True
    example: ClassVar[Payload] = SlackEvent(
        b'{"type":"app_mention","Data":{"type":"app_mention","user":"U061F7AUR",'
        b'"text":"\\u003c@U0LAN0Z89\\u003e is it live?","ts":"1732179000.000016","thread_ts":"",'
        b'"channel":"C061EG9SL","event_ts":"1732179000000016"}}'
    )
    webhook: WebhookContext
    """Where Slack posts to."""
    signing_secret: SecretRef
    """Signing secret of the app. Where it changes, the one before is good for five minutes more."""
    token: SecretRef | None = None
    """Verification token of the app; where it is given, requests must have it beside the
    signature. Argo Events wants it."""
    metadata: dict[str, str] = {}
    """Of no effect, as in Argo Events: the payload is what Slack sends."""
    filter: EventSourceFilter | None = None
    """Which requests become events."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.metadata:
            warn("metadata: of no effect, as in Argo Events")
        if self.token is None:
            warn("token: Argo Events wants it; the signature says all here")
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        secret = Rotating(env.secrets, self.signing_secret)
        token = Rotating(env.secrets, self.token) if self.token else None
        hook = self.webhook
        handler = self._handler(env, emit, secret.values, token.values if token else None)
        route = hook.route(env, handler)
        async with web.serve(env, int(hook.port), route, hook.certificate(env)):
            env.listening()
            await asyncio.Event().wait()  # until cancelled

    def _handler(
        self,
        env: Env,
        emit: Emit,
        secrets: Callable[[], Sequence[str]],
        tokens: Callable[[], Sequence[str]] | None,
    ) -> web.Handler:
        refuse = refusing(env, "a request that Slack has not signed")
        place = (env.object, env.name)

        async def handle(request: web.Request) -> Answer:
            wrong = signature.refusal(request.fields, request.body, secrets(), time.time())
            if wrong is not None:
                return refuse(wrong)
            try:
                told = slack.read(request)
            except ValueError as exc:
                return Answer(400, f"{exc}\n")
            if tokens is not None and not _is_one_of(told.token, tokens()):
                return refuse(WRONG_TOKEN)
            if told.notice:
                log.warning(told.notice, extra={"eventName": env.name})
            if told.event is not None:
                known = event_id((*place, told.id)) if told.id else event_id(place, request.body)
                await emit(told.event, id=known)
            return told.answer

        return handle


def _is_one_of(token: str, tokens: Sequence[str]) -> bool:
    found = [same(token.encode(), one) for one in tokens]
    return any(found)
