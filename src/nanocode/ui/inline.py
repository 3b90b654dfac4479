"""Markdown within a line: emphasis, code, links; knows nothing of lines."""

import re
from collections.abc import Iterator

from nanocode.ui.rows import BOLD, CYAN, DIM, ITALIC, STRIKE, UNDERLINE, Row, Span, join

# Each alternative needs a character that `SPECIAL` looks for first.
_MARKS = re.compile(
    r"\\(?P<escaped>[\\`*_{}\[\]()#+\-.!~|>])"
    r"|(?<!`)(?P<ticks>`++)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|\*\*\*(?=\S)(?P<both>.+?)(?<=\S)\*\*\*"
    r"|\*\*(?=\S)(?P<strong>.+?)(?<=\S)\*\*"
    r"|(?<!\w)__(?=\S)(?P<strong_>.+?)(?<=\S)__(?!\w)"
    r"|(?<!\w)\*(?=[^\s*])(?P<emphasis>[^*]*?[^\s*])\*(?!\*)"
    r"|(?<!\w)_(?=[^\s_])(?P<emphasis_>[^_]*?[^\s_])_(?!\w)"
    r"|~~(?=\S)(?P<struck>.+?)(?<=\S)~~"
    r"|!?\[(?P<label>[^\[\]]*)\]\((?P<target>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\)"
    r"|<(?P<auto>https?://[^\s<>]+)>"
    r"|(?P<url>https?://[^\s<>`]*[^\s<>`.,;:!?'\")\]*_])"
)
# Without these a text is as it is.
SPECIAL = re.compile(r"[\\`*_~\[<]|https?://")
_STYLES = {
    "both": f"{BOLD};{ITALIC}",
    "strong": BOLD,
    "strong_": BOLD,
    "emphasis": ITALIC,
    "emphasis_": ITALIC,
    "struck": STRIKE,
}


def inline(text: str, style: str = "") -> Row:
    """The spans of `text`; marks that do not close stay as they are."""
    return list(_spans(text, style)) if SPECIAL.search(text) else [(style, text)]


def _spans(text: str, style: str) -> Iterator[Span]:
    at = 0
    for match in _MARKS.finditer(text):
        if match.start() > at:
            yield style, text[at : match.start()]
        yield from _marked(match, style)
        at = match.end()
    if at < len(text):
        yield style, text[at:]


def _marked(match: re.Match[str], style: str) -> Iterator[Span]:
    kind = match.lastgroup or ""
    if kind == "escaped":
        yield style, match["escaped"]
    elif kind == "code":
        yield join((style, CYAN)), _stripped(match["code"])
    elif kind in _STYLES:
        yield from inline(match[kind], join((style, _STYLES[kind])))
    elif kind == "target":
        yield from inline(match["label"], join((style, UNDERLINE)))
        if match["target"] not in ("", match["label"]):
            yield join((style, DIM)), f" ({match['target']})"
    else:
        yield join((style, UNDERLINE)), match["auto"] or match["url"]


def _stripped(code: str) -> str:
    """CommonMark drops one blank at each side, which lets code begin with a tick."""
    return code[1:-1] if code.startswith(" ") and code.endswith(" ") and code.strip() else code
