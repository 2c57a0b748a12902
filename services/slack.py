"""Slack: posts to channels and to people, in threads, or updates what was posted.

Calls are those of Slack's Web API, with a form as their body. Blocks and attachments that are no
JSON, or that Slack does not take, are left out and the text goes without them: the receipt says so.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, ClassVar, NamedTuple

import orjson
from pydantic import Field
from typing_extensions import override

from services import slack_text
from services.bounded import Bounded
from services.fitting import word
from services.hiding import HIDDEN, Token
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, nobody
from services.slack_api import Api, Refused
from services.slack_threads import Thread, Threads
from services.structures import Structures
from services.web import Answer, Transport, Web
from spine.errors import TriggerError
from spine.runtime import Env

API = "https://slack.com/api/"
PEOPLE = 1000
"""People whose ids are kept after a look-up by e-mail."""
PEOPLE_FOR = 3600.0
"""Seconds for which they are."""
_EMOJI = re.compile(r":.+:", re.DOTALL)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_POLICIES = frozenset({"Update", "PostAndUpdate"})
_BAD_LAYOUT = frozenset({"invalid_blocks", "invalid_blocks_format", "invalid_attachments"})
_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message"})
"""Errors that say that the first message of a thread is no more."""


class SlackBlock(OpenBlock):
    """What a message in Slack has beside its text."""

    username: str = ""
    """Who it comes from; that of the service where it is empty."""
    icon: str = ""
    """Icon, as `:name:` of an emoji or as a URL; that of the service where it is empty."""
    attachments: str | list[Any] = ""
    """Attachments, as JSON or YAML."""
    blocks: str | list[Any] = ""
    """Blocks, as JSON or YAML."""
    grouping_key: str = ""
    """Messages of one channel with the same key form a thread."""
    notify_broadcast: bool = False
    """Whether an answer in a thread is shown in the channel, too."""
    delivery_policy: str = ""
    """What becomes of a further message of a thread: `Post` answers, `Update` changes the first
    message, `PostAndUpdate` does both."""


class Slack(Transport, Service):
    """Posts to Slack as an app."""

    kind: ClassVar[str] = "slack"
    block: ClassVar[type[Block] | None] = SlackBlock
    recipients: ClassVar[str] = "a channel's name or id, a user's id, or a user's e-mail address"
    idempotent: ClassVar[str] = "metadata of the message, as `idempotency_key`"
    example: ClassVar[str] = """
service.slack: |
  token: $slack-token
  username: deployments
  icon: ":rocket:"
template.app-deployed: |
  message: "{{ .app.metadata.name }} runs {{ .app.status.sync.revision }}"
  slack:
    groupingKey: "{{ .app.metadata.uid }}"
    deliveryPolicy: Update
    blocks:
      - type: section
        text:
          type: mrkdwn
          text: "*{{ .app.metadata.name }}* runs `{{ .app.status.sync.revision }}`"
"""

    token: Token
    """Token of the app's bot, `xoxb-...`."""
    username: str = ""
    """Who messages come from; the app where it is empty. Needs the scope `chat:write.customize`."""
    icon: str = ""
    """Icon, as `:name:` of an emoji or as a URL. Needs the same scope."""
    api_url: Annotated[str, Field(alias="apiURL")] = API
    """Where the API is."""
    disable_unfurl: bool = False
    """Whether links are shown without a preview of where they lead."""
    signing_secret: Annotated[str, HIDDEN] = ""
    """Of no effect: it is for messages that come from Slack."""
    channels: list[str] = []
    """Of no effect."""

    @override
    def problem(self, recipient: str) -> str:
        return nobody(recipient)

    @classmethod
    @override
    def preview(cls, message: Message) -> str:
        return slack_text.readable(message)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Slack, env: Env) -> AsyncIterator[Client]:
    web = await Web.of(env, service)
    api = Api(web, service.api_url, service.token, f"telling Slack by {env.name!r}")
    yield _Client(service, api, Threads(env.memory, env.name))


class _Posted(NamedTuple):
    """A message in Slack."""

    answer: Answer
    channel: str
    ts: str
    problems: list[str]


class _Client(Client):
    def __init__(self, service: Slack, api: Api, threads: Threads) -> None:
        self._service, self._api, self._threads = service, api, threads
        self._people: Bounded[str, str] = Bounded(PEOPLE, PEOPLE_FOR)

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        structures = Structures(message.block)
        fields, layout = self._fields(message, key, structures)
        channel = await self._channel(recipient)
        grouping = word(message.block, "groupingKey")
        if not grouping:
            posted = await self._post(channel, fields, layout)
        else:
            async with self._threads.one(channel, grouping) as thread:
                posted = await self._grouped(thread, channel, message.block, (fields, layout))
        detail = {"channel": posted.channel, "ts": posted.ts}
        problems = (*structures.problems, *posted.problems)
        return Receipt(posted.answer.summary, detail, problems)

    def _fields(
        self, message: Message, key: str, structures: Structures
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the fields of a message, and those that Slack may refuse as a layout."""
        block, service = message.block, self._service
        metadata = {"event_type": "tocsin", "event_payload": {"idempotency_key": key}}
        fields = {"text": message.text, "metadata": _json(metadata)}
        if service.disable_unfurl:
            fields |= {"unfurl_links": "false", "unfurl_media": "false"}
        username = word(block, "username") or service.username
        if username:
            fields["username"] = username
        fields |= _icon(word(block, "icon") or service.icon, structures.problems)
        extra = block.get("extra") or {}
        fields |= {name: v if isinstance(v, str) else _json(v) for name, v in extra.items()}
        layout = {
            name: _json(value)
            for name in ("attachments", "blocks")
            if (value := structures.get(name)) is not None
        }
        if not message.text and not layout and structures.problems:
            raise TriggerError(f"{self._api.what}: {structures.problems[0]}", permanent=True)
        return fields, layout

    async def _grouped(
        self,
        thread: Thread,
        channel: str,
        block: Mapping[str, Any],
        parts: tuple[dict[str, str], dict[str, str]],
    ) -> _Posted:
        """Post the first message of a thread, or do what the policy says to a further one."""
        fields, layout = parts
        if thread.place is not None:
            try:
                return await self._further(thread.place, block, fields, layout)
            except Refused as exc:
                if exc.error not in _GONE:
                    raise
        posted = await self._post(channel, fields, layout)
        problem = await thread.begin(posted.channel, posted.ts)
        return posted._replace(problems=[*posted.problems, *problem])

    async def _further(
        self,
        place: tuple[str, str],
        block: Mapping[str, Any],
        fields: dict[str, str],
        layout: dict[str, str],
    ) -> _Posted:
        channel, ts = place
        policy = word(block, "deliveryPolicy")
        if policy in _POLICIES:  # first of the two: doing it again does no harm
            told = {k: v for k, v in fields.items() if not k.startswith(("unfurl", "icon"))}
            told.pop("username", None)
            updated = await self._post(
                channel, told | {"ts": ts, "as_user": "true"}, layout, "chat.update"
            )
            if policy == "Update":
                return updated
        told = fields | {"thread_ts": ts}
        if block.get("notifyBroadcast"):
            told["reply_broadcast"] = "true"
        return await self._post(channel, told, layout)

    async def _post(
        self,
        channel: str,
        fields: dict[str, str],
        layout: dict[str, str],
        method: str = "chat.postMessage",
    ) -> _Posted:
        """Post a message; without blocks and attachments where Slack does not take them."""
        problems: list[str] = []
        try:
            answer, told = await self._api.call(method, {"channel": channel, **fields, **layout})
        except Refused as exc:
            if exc.error not in _BAD_LAYOUT or not layout or not fields["text"]:
                raise
            problems.append(f"{' and '.join(layout)} left out: {exc.message}")
            answer, told = await self._api.call(method, {"channel": channel, **fields})
        warning = told.get("warning")
        if warning:
            problems.append(self._api.hide(f"Slack warns: {warning}"))
        return _Posted(answer, str(told.get("channel") or channel), str(told.get("ts")), problems)

    async def _channel(self, recipient: str) -> str:
        """Return where to post: for an e-mail address the id of who has it."""
        recipient = recipient.strip()
        if not _EMAIL.fullmatch(recipient):
            return recipient
        found = self._people.get(recipient)
        if found is None:
            _, told = await self._api.call("users.lookupByEmail", {"email": recipient})
            user = told.get("user")
            found = str(user.get("id", "")) if isinstance(user, dict) else ""
            self._people.put(recipient, found)
        return found


def _icon(icon: str, problems: list[str]) -> dict[str, str]:
    if not icon:
        return {}
    if _EMOJI.fullmatch(icon):
        return {"icon_emoji": icon}
    if icon.startswith(("http://", "https://")):
        return {"icon_url": icon}
    problems.append(f"icon {icon!r} was left out: write :name: or a URL")
    return {}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
