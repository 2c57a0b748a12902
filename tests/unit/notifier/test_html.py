"""Messages as a page: nothing of them is markup, and nothing of them runs."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from notifier.html import Letter, page

EVIL = "<script>alert(1)</script> & \"'"


class Tags(HTMLParser):
    """Notes tags, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(*letters: Letter) -> Tags:
    found = Tags()
    found.feed(page("mails", letters))
    return found


def test_a_text_is_shown_as_it_stands():
    found = read(Letter(EVIL, (("Subject", EVIL),), EVIL))
    assert "script" not in {tag for tag, _ in found.tags}
    assert found.text.count(EVIL) == 3


def test_html_stands_in_a_frame_that_may_do_nothing():
    found = read(Letter("mail", (), EVIL, html=True))
    frame = next(attributes for tag, attributes in found.tags if tag == "iframe")
    assert (frame["sandbox"], frame["srcdoc"]) == ("", EVIL)
    assert "script" not in {tag for tag, _ in found.tags}
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@given(st.text(), st.booleans())
def test_the_page_has_always_the_same_tags(text: str, html: bool) -> None:
    found, empty = (read(Letter(one, (("To", one),), one, html=html)) for one in (text, ""))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in empty.tags]
