"""Dry runs: messages are shown, not sent."""

import logging

import msgspec
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from notifier.sending import Sent
from notifier.templates import conceal
from services.catalogue import SERVICES

log = logging.getLogger(__name__)


class Shown(Sender):
    """Says what would be sent."""

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        sent = msgspec.convert(action.content, Sent)
        whom = f"{sent.service}:{sent.recipient}" if sent.recipient else sent.service
        text = SERVICES[action.kind].preview(conceal(sent.message))
        log.info("would tell %s of %s:\n%s", whom, sent.object, text)
        return Outcome("shown", effect=False)
