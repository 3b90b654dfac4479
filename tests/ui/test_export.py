"""A session as a document: all of it there, nothing of it runs, and no key in it."""

import re
from html.parser import HTMLParser

import pytest

from nanocode.guard.secrets import REDACTED, Redactor
from nanocode.messages import Assistant, Call, Image, Message, ToolAnswer, Usage, User
from nanocode.store.transcript import Saved
from nanocode.ui.export import html, markdown

KEY = "k3y-of-the-house-0123"
EVIL = '</pre></details><script>alert(1)</script><img src=x onerror="alert(2)">'
TALK: list[Message] = [
    User("look at this", (Image("image/png", "aGk="),)),
    Assistant("", "thoughts", (Call("1", "bash", '{"command": "cat ```a``` && ls"}'),)),
    ToolAnswer("1", "bash", f"out ````\n{EVIL}"),
    Assistant(
        "",
        "",
        (Call("2", "edit", '{"path": "a", "edits": [{"oldText": "é", "all": true}]}'), Call("3", "read", "{broken")),
    ),
    ToolAnswer("2", "edit", "no such file", failed=True),
    ToolAnswer("3", "read", "seen", images=(Image("image/jpeg", "aG8="),)),
    Assistant(f"done with {KEY} & <b>more</b>"),
]


def saved(messages: list[Message] = TALK, name: str = "") -> Saved:
    header = {"id": "0ddba11", "model": "m", "cwd": "/work", "time": "2026-11-25", "title": f"<i>{KEY}"}
    return Saved(header, messages, messages, Usage(1200, 34), 0.5, 3, name)


def clean(text: str) -> str:
    return Redactor([KEY]).text(text)


class Reader(HTMLParser):
    """The tags that an export opens and does not close, all it opens, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_whole_holds_everything_and_runs_nothing() -> None:
    read = Reader(html(saved(), clean))
    assert not read.open
    assert not read.tags & {"script", "iframe", "link", "object"}
    assert EVIL in read.text and "look at this" in read.text and "cat ```a``` && ls" in read.text
    assert 'edits: [{"oldText":"é","all":true}]' in read.text and "{broken" in read.text and "edit failed" in read.text
    assert "1,200 tokens in, 34 out · $0.5000" in read.text
    sources = [value for name, value in read.attributes if name in ("src", "href")]
    assert sources == ["data:image/png;base64,aGk=", "data:image/jpeg;base64,aG8="]
    assert not any(name.startswith("on") for name, _ in read.attributes)


def test_markdown_keeps_fences_closed_whatever_they_hold() -> None:
    document = markdown(saved(), clean)
    fences = re.findall(r"^(`{3,})$", document, re.MULTILINE)
    assert fences == ["````", "````", "`````", "`````", *["```"] * 8]
    assert "**bash**\n\n````\ncat ```a``` && ls\n````" in document
    assert "<summary>edit failed</summary>" in document and "## User\n\nlook at this" in document
    assert "![image](data:image/png;base64,aGk=)" in document
    assert "data:image/jpeg;base64,aG8=" in document, "what a tool showed is shown here too"
    assert "thoughts" not in document


@pytest.mark.parametrize("render", [markdown, html])
def test_no_key_is_exported(render: "type[markdown]") -> None:
    document = render(saved(), clean)
    assert KEY not in document and document.count(REDACTED) >= 2


@pytest.mark.parametrize("render", [markdown, html])
def test_a_name_stands_above_its_first_words_and_nothing_at_all_still_has_a_heading(render: "type[markdown]") -> None:
    assert "the parser rewrite" in render(saved(name="the parser rewrite"), clean)
    assert "nanocode session" in render(Saved({"id": "a"}), clean)
