"""Messages as one page of HTML that needs nothing else: for looking at mails before they are sent.

Nothing of a message runs or is loaded: texts are escaped, and a body that is HTML itself stands in
a frame that may neither run scripts nor fetch anything.
"""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #f2f2ef; margin: 2rem; }
article { background: #fff; border: 1px solid #d5d5d0; border-radius: 6px; margin: 0 auto 2rem;
  max-width: 46rem; overflow: hidden; }
h2 { font-size: 1rem; margin: 0; padding: .6rem 1rem; background: #e8e8e3; }
table { border-collapse: collapse; margin: .6rem 1rem; }
th { text-align: left; font-weight: 600; color: #666; padding-right: 1rem; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: 1rem;
  border-top: 1px solid #e5e5e0; font: 14px/1.5 ui-monospace, monospace; }
iframe { border: 0; border-top: 1px solid #e5e5e0; width: 100%; height: 36rem; }
"""


class Letter(NamedTuple):
    """A message with what stands above it."""

    title: str
    heads: tuple[tuple[str, str], ...]
    """Names and values, such as Subject."""
    body: str
    html: bool = False
    """Whether the body is HTML."""


def page(title: str, letters: Iterable[Letter]) -> str:
    """Return messages as a page."""
    articles = "\n".join(map(_article, letters))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
{articles}
</body>
</html>
"""


def _article(letter: Letter) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in letter.heads
    )
    body = f"<pre>{escape(letter.body)}</pre>"
    if letter.html:
        body = f'<iframe sandbox="" title="Body" srcdoc="{escape(letter.body)}"></iframe>'
    return f"<article>\n<h2>{escape(letter.title)}</h2>\n<table>{rows}</table>\n{body}\n</article>"
