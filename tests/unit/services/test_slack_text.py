"""What messages for Slack look like in a preview."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.service import Message
from services.slack_text import readable


@dataclass(frozen=True)
class Case:
    name: str
    block: dict[str, Any]
    lines: list[str]
    text: str = ""

    def __str__(self) -> str:
        return self.name


def blocks(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"blocks": list(blocks)}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


CASES = [
    Case("text", {}, ["it is done"], "it is done"),
    Case("links", {}, ["see the page (https://h/a) & https://h/b"],
         "see <https://h/a|the page> &amp; <https://h/b>"),
    Case("who", {"username": "bot", "icon": ":x:"}, [":x: bot:", "a"], "a"),
    Case(
        "blocks",
        blocks(
            {"type": "header", "text": {"type": "plain_text", "text": "Deployed"}},
            {"type": "section", "text": mrkdwn("*app*"), "fields": [mrkdwn("a"), mrkdwn("b")]},
            {"type": "divider"},
            {"type": "context", "elements": [mrkdwn("small"), {"type": "image", "alt_text": "i"}]},
            {
                "type": "actions",
                "elements": [
                    {"type": "button", "text": {"type": "plain_text", "text": "Open"},
                     "url": "https://h"}
                ],
            },
            {"type": "image", "alt_text": "graph"},
        ),
        ["# Deployed", "*app*", "a", "b", "---", "small  [image: i]", "[Open](https://h)",
         "[image: graph]", "(in notifications: short)"],
        "short",
    ),
    Case(
        "rich text",
        blocks(
            {"type": "rich_text", "elements": [
                {"type": "rich_text_section", "elements": [
                    {"type": "text", "text": "hello "}, {"type": "emoji", "name": "wave"},
                    {"type": "link", "url": "https://h", "text": "x"}]},
                {"type": "rich_text_list", "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}]},
            ]}
        ),
        ["hello :wave:x (https://h)", "- one"],
    ),
    Case(
        "attachments as text",
        {"attachments": '[{"title": "T", "title_link": "https://h", "text": "body",'
         ' "fields": [{"title": "Rev", "value": "abc"}], "footer": "f"}]'},
        ["a", "| T (https://h)", "| body", "| Rev: abc", "| f"],
        "a",
    ),
    Case("fall-back", {"attachments": [{"fallback": "f"}]}, ["| f"]),
    Case("thread", {"groupingKey": "k"}, ["a", "(thread 'k', Post)"], "a"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_readable(case: Case) -> None:
    shown = readable(Message(text=case.text, block=case.block))
    assert [line for line in shown.split("\n") if line] == case.lines


def test_what_is_left_out_is_named() -> None:
    shown = readable(Message(text="a", block={"blocks": "["}))
    assert shown.startswith("a\n(blocks was left out: no JSON at line 1 column 2")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "elements", "fields", "accessory", "blocks", "title", "url"]
            ),
            inner | st.sampled_from(["header", "section", "rich_text", "image", "rich_text_list"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(JSON), st.lists(JSON))
def test_nothing_breaks_a_preview(blocks: list[Any], attachments: list[Any]) -> None:
    readable(Message(text="a", block={"blocks": blocks, "attachments": attachments}))
