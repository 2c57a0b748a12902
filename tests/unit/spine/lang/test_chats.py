"""Functions of templates that make texts harmless for chats."""

from dataclasses import dataclass

import pytest

from spine.lang import EvaluationError, gotemplate


@dataclass(frozen=True)
class Case:
    template: str
    text: str

    def __str__(self) -> str:
        return self.template


CASES = [
    Case("{{ .x | slackEscape }}", "a_b*c &lt;d&gt; &amp; [e](f) g.h"),
    Case("{{ .x | telegramEscape }}", r"a\_b\*c <d> & \[e](f) g.h"),
    Case('{{ .x | telegramEscape "Markdown" }}', r"a\_b\*c <d> & \[e](f) g.h"),
    Case('{{ .x | telegramEscape "MarkdownV2" }}', r"a\_b\*c <d\> & \[e\]\(f\) g\.h"),
    Case('{{ .x | telegramEscape "HTML" }}', "a_b*c &lt;d&gt; &amp; [e](f) g.h"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_escaped(case: Case) -> None:
    template = gotemplate.compile(case.template)
    assert template.render({"x": "a_b*c <d> & [e](f) g.h"}) == case.text


@pytest.mark.parametrize("template", ['{{ telegramEscape "Word" .x }}', "{{ telegramEscape 1 }}"])
def test_refused(template: str) -> None:
    with pytest.raises(EvaluationError):
        gotemplate.compile(template).render({"x": "a"})
