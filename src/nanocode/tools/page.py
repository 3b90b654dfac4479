"""What a fetched document says, as markdown or text; knows nothing of how it was fetched.

A hostile page can keep the parser busy for hours, so whoever fetched it runs `serve` in a process that can be killed.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from nanocode.jsontext import dumps, loads

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

# The converter takes about five seconds for a megabyte of tags; pages whose text alone is longer are cut.
_HTML_CHARACTERS = 1_000_000
_UNREAD = ("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas")
_FURNITURE = ("nav", "header", "footer", "aside", "form")
_ROLES = '[role="navigation"], [role="search"], [role="banner"], [role="contentinfo"], [role="complementary"]'
# A shorter `main` is a shell that a script fills, or a search box.
_MAIN_CHARACTERS = 200
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def markdown(html: str, url: str) -> tuple[str, str]:
    """The page's title, and its body as markdown with absolute links; as text where its tags nest too deeply."""
    # A tenth of a second, for those who fetch.
    from markdownify import ATX, MarkdownConverter

    soup = _soup(html, (*_UNREAD, *_FURNITURE))
    title = _title(soup)
    _absolute(soup, url)
    _flatten(soup)
    converter = MarkdownConverter(heading_style=ATX, bullets="-", code_language_callback=_language)
    try:
        text = converter.convert_soup(_main(soup))
    except RecursionError:
        text = _main(soup).get_text("\n")
    return title, _tidy(text)


def plain(html: str) -> tuple[str, str]:
    """The page's title and its text without marks."""
    soup = _soup(html, _UNREAD)
    title = _title(soup)
    return title, _tidy("\n".join(_lines(soup.body or soup)))


def serve() -> None:
    """Read `{"html", "url", "markdown"}` from the standard input, write `[title, text]` to the standard output."""
    with open(0, "rb") as source, open(1, "wb") as sink:
        asked = loads(source.read())
        read = markdown(asked["html"], asked["url"]) if asked["markdown"] else plain(asked["html"])
        sink.write(dumps(read))


def rough(html: str) -> str:
    """The text of a page that no parser gets through, in linear time."""
    return _tidy(re.sub(r"<[^<>]*>", " ", _without_scripts(html)))


def decoded(data: bytes, charset: str, *, html: bool) -> str:
    """The characters of a body: by its byte order mark, else `charset` of the header, else what an HTML page says.

    What is none of these is UTF-8, or else windows-1252, as in browsers.
    """
    from bs4.dammit import EncodingDetector

    body, marked = EncodingDetector.strip_byte_order_mark(data)
    declared = EncodingDetector.find_declared_encoding(body, is_html=html) if html else None
    for name in (marked, charset, declared, "utf-8"):
        try:
            if name:
                return body.decode(_BROWSER.get(name.lower(), name))
        except (LookupError, UnicodeDecodeError):
            # One broken byte in a long page is no reason to read all of it wrong.
            if name == "utf-8" and _mostly_utf8(body):
                return body.decode("utf-8", "replace")
    return body.decode("windows-1252", "replace")


# Browsers read these names as their supersets, and pages rely on it.
_BROWSER = {"iso-8859-1": "windows-1252", "latin-1": "windows-1252", "latin1": "windows-1252", "ascii": "windows-1252"}
_BROWSER |= {"us-ascii": "windows-1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949"}


def _mostly_utf8(body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    return text.count("\ufffd") < len(re.findall(r"[^\x00-\x7f\ufffd]", text))


def _soup(html: str, unread: tuple[str, ...]) -> "BeautifulSoup":
    # Costs a tenth of a second, and only those who fetch need it.
    from bs4 import BeautifulSoup
    from bs4.element import PreformattedString

    soup = BeautifulSoup(_without_scripts(html)[:_HTML_CHARACTERS], "html.parser")
    main = soup.find("main") or soup.find("article")
    for note in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        note.extract()
    if unread is not _UNREAD:
        for tag in soup.select(_ROLES):
            tag.decompose()
    for tag in soup.find_all(unread):
        # Pages put the headline of an article into a header of its own.
        if tag.name == "header" and tag.find("h1") and tag.find_parent(["main", "article"]):
            continue
        if tag.name == "form" and main is not None and tag.find(main.name):
            continue
        tag.decompose()
    return soup


def _without_scripts(html: str) -> str:
    """Cut scripts and styles out before parsing: they are most of a modern page's bytes."""
    lower = html.lower() if len(html.lower()) == len(html) else html
    kept: list[str] = []
    at = 0
    for start, end in _scripts(lower):
        kept.append(html[at:start])
        at = end
    return "".join(kept) + html[at:]


def _scripts(lower: str) -> Iterator[tuple[int, int]]:
    at = 0
    while found := re.compile(r"<(script|style)\b").search(lower, at):
        close = lower.find(f"</{found[1]}", found.end())
        end = lower.find(">", close)
        if close < 0 or end < 0:
            return
        yield found.start(), end + 1
        at = end + 1


def _title(soup: "BeautifulSoup") -> str:
    title = soup.title
    # A page without a head would repeat it in its body.
    return " ".join(title.extract().get_text().split()) if title else ""


def _main(soup: "BeautifulSoup") -> "Tag":
    """The part of the page that says itself that it is the content."""
    found = soup.select('main, [role="main"]')
    if len(found) == 1 and len(found[0].get_text(strip=True)) >= _MAIN_CHARACTERS:
        return found[0]
    return soup.body if soup.body is not None else soup


def _absolute(soup: "BeautifulSoup", url: str) -> None:
    base = soup.find("base", href=True)
    url = urljoin(url, str(base["href"])) if base else url
    for name, attribute in (("a", "href"), ("img", "src")):
        for tag in soup.find_all(name):
            target = str(tag.get(attribute) or "")
            if target.startswith(("data:", "javascript:")):
                tag.unwrap() if name == "a" else tag.decompose()
            elif target.startswith("#"):
                # Links within the page, such as the ¶ beside a heading, lead a reader nowhere.
                words = tag.get_text(strip=True)
                tag.decompose() if words in ("¶", "#", "") or words.lower().startswith("skip to") else tag.unwrap()
            elif target:
                try:
                    tag[attribute] = urljoin(url, target)
                except ValueError:
                    continue


def _flatten(soup: "BeautifulSoup") -> None:
    """A cell of a markdown table holds one line: a table with tables in it, mostly layout, becomes blocks."""
    open_tables: list[Tag] = []
    parts: dict[int, list[Tag]] = {}
    layout: list[Tag] = []
    for tag in soup.find_all(["table", "tbody", "thead", "tfoot", "tr", "td", "th"]):
        while open_tables and not _inside(tag, open_tables[-1]):
            open_tables.pop()
        if tag.name == "table":
            layout += open_tables[-1:]
            open_tables.append(tag)
        elif open_tables:
            parts.setdefault(id(open_tables[-1]), []).append(tag)
    for table in layout:
        for part in (table, *parts.get(id(table), ())):
            part.name = "div"
    for cell in soup.find_all(["td", "th"]):
        for text in cell.find_all(string=lambda text: text is not None and "|" in text):
            text.replace_with(text.replace("|", "\\|"))


def _inside(tag: "Tag", table: "Tag") -> bool:
    nearest = tag.parent
    while nearest is not None and nearest.name not in ("table", "[document]"):
        nearest = nearest.parent
    return nearest is table


def _language(tag: "Tag") -> str:
    for each in (tag, tag.parent, tag.find("code"), tag.parent.parent if tag.parent else None):
        classes = each.get("class") if each is not None and each.name else None
        for word in classes if isinstance(classes, list) else []:
            found = re.fullmatch(r"(?:language|lang|highlight|highlight-source)-([\w+#.-]+)", word)
            if found and found[1] not in ("default", "text", "none"):
                return found[1]
    return ""


def _lines(soup: "BeautifulSoup | Tag") -> Iterator[str]:
    inline: list[str] = []
    blocks = {"p", "div", "li", "tr", "br", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table", "ul", "ol", "section"}
    for node in soup.descendants:
        if getattr(node, "name", None) in blocks:
            yield " ".join("".join(inline).split())
            inline = []
        elif getattr(node, "name", None) is None and isinstance(node, str):
            inline.append(str(node))
    yield " ".join("".join(inline).split())


def _tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.replace("\xa0", " ").split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip("\n")
