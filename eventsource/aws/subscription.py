"""The subscription to a topic of SNS: made, confirmed when SNS asks, and taken away at the end.

This goes on beside the serving of messages and never stops it: where AWS is away or refuses, that
is logged with what to do, and tried again with growing waits. To subscribe again changes nothing
while the subscription is there, so one that somebody deletes comes back.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from eventsource.aws.account import Calls
from eventsource.registration import AGAIN, EVERY, FINISH
from spine.errors import ConfigError, Fault, SourceError
from spine.runtime import Env

log = logging.getLogger(__name__)

PENDING = 60.0
"""Seconds after which a confirmation that has not come is asked for again."""
AT_LEAST = 2.0
"""Seconds between two calls."""

Opening = Callable[[], AbstractAsyncContextManager[Calls]]
"""Opens a client with the keys of this moment. Raises ConfigError."""


class Subscription:
    """The subscription of one event."""

    def __init__(self, env: Env, topic: str, url: str, opening: Opening) -> None:
        self._topic, self._url, self._opening = topic, url, opening
        self._extra = {"eventName": env.name}
        self._again = asyncio.Event()
        self.arn = ""
        """What SNS calls it; empty while it is not confirmed."""

    async def keep(self) -> None:
        """Look after it until cancelled."""
        refused = 0
        while True:
            self._again.clear()
            try:
                await self._subscribe()
            except (SourceError, ConfigError) as exc:
                refused += 1
                wait = AGAIN.wait(refused)
                extra = {**self._extra, "error": str(exc), "wait": round(wait, 2)}
                log.error("not subscribed to %s", self._topic, extra=extra)  # noqa: TRY400 -- the text says it all
            else:
                refused, wait = 0, EVERY if self.arn else PENDING
            await asyncio.sleep(AT_LEAST)
            try:
                async with asyncio.timeout(wait):
                    await self._again.wait()
            except TimeoutError:
                pass

    async def _subscribe(self) -> None:
        protocol = "https" if self._url.startswith("https:") else "http"
        asked = {"TopicArn": self._topic, "Protocol": protocol, "Endpoint": self._url}
        async with self._opening() as calls:
            found = await calls.call(f"subscribing to {self._topic}", "subscribe", **asked)
        arn = str(found.get("SubscriptionArn", ""))
        if arn.startswith("arn:"):
            self._confirmed(arn)
        elif not self.arn:
            log.info("waiting for SNS to ask %s for confirmation", self._url, extra=self._extra)

    async def confirm(self, token: str) -> None:
        """Say that it is meant. Raises SourceError and ConfigError."""
        asked = {"TopicArn": self._topic, "Token": token}
        what = f"confirming the subscription to {self._topic}"
        async with self._opening() as calls:
            found = await calls.call(what, "confirm_subscription", **asked)
        self._confirmed(str(found.get("SubscriptionArn", "")))

    def _confirmed(self, arn: str) -> None:
        if arn != self.arn:
            log.info("subscribed to %s as %s", self._topic, arn, extra=self._extra)
        self.arn = arn

    def gone(self) -> None:
        """Make it again, as SNS says that it is gone."""
        log.warning("the subscription to %s was deleted", self._topic, extra=self._extra)
        self.arn = ""
        self._again.set()

    async def remove(self) -> None:
        """Take it away, if it was confirmed."""
        if not self.arn:
            return
        what = f"unsubscribing from {self._topic}"
        try:
            async with asyncio.timeout(FINISH), self._opening() as calls:
                await calls.call(what, "unsubscribe", SubscriptionArn=self.arn)
        except (Fault, TimeoutError) as exc:
            extra = {**self._extra, "error": str(exc) or "no answer in time"}
            log.error("%s is still there, though it was to go", self.arn, extra=extra)  # noqa: TRY400 -- the text says it all
        else:
            log.info("unsubscribed from %s", self._topic, extra=self._extra)


@asynccontextmanager
async def kept(subscription: Subscription, *, remove: bool) -> AsyncIterator[None]:
    """Look after a subscription while the block lasts; with `remove`, take it away at its end."""
    try:
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(subscription.keep(), name="subscription")
            try:
                yield
            finally:
                keeping.cancel()
    finally:
        if remove:
            await subscription.remove()
