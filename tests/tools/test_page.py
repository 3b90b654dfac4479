"""What documents say: pages that several generators made, against the markdown that a reader wants of them.

`python tests/tools/test_page.py` writes the markdown anew, for review.
"""

import sys
from pathlib import Path

import pytest

from nanocode.tools import page

PAGES = Path(__file__).parents[1] / "pages"
SAVED = ("sphinx", "mkdocs", "pdoc")


def read(name: str) -> str:
    html = page.decoded((PAGES / f"{name}.html").read_bytes(), "", html=True)
    title, text = page.markdown(html, "https://docs.example/guide/")
    return f"Title: {title}\n{text}\n"


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_page_reads_well(name: str) -> None:
    assert read(name) == (PAGES / f"{name}.md").read_text("utf-8")


def markdown(html: str) -> str:
    return page.markdown(html, "https://docs.example/guide/page.html")[1]


PIECES = [
    ('<a href="x.html?a=1">x</a>', "[x](https://docs.example/guide/x.html?a=1)"),
    ('<base href="/b/"><a href="x">x</a>', "[x](https://docs.example/b/x)"),
    ('<a href="#top">up</a> <a href="#">#</a>', "up"),
    ('<a href="javascript:go()">go</a><img src="data:image/png;base64,AAAA" alt="no">', "go"),
    ('<a href="http://[broken">x</a>', "[x](http://[broken)"),
    ("<h2>One<br>two</h2>", "## One two"),
    ("<pre><code class='language-rust'>let x;\n</code></pre>", "```rust\nlet x;\n```"),
    ("<table><tr><th>a</th></tr><tr><td>1 | 2</td></tr></table>", "| a |\n| --- |\n| 1 \\| 2 |"),
    ("<p>x</p><script>if (a < b) { document.write('<p>y</p>') }</script><p>z</p>", "x\n\nz"),
    ("<div role='navigation'>menu</div><p>x</p>", "x"),
    ("<article><header><h1>Head</h1><p>by me</p></header><p>x</p></article>", "# Head\n\nby me\n\nx"),
    ("<form><main><p>x</p></main></form>", "x"),
    ("", ""),
    ("just text", "just text"),
    ("<![if IE]><p>x</p><!-- <p>y</p> -->", "x"),
]


@pytest.mark.parametrize(("html", "wanted"), PIECES, ids=range(len(PIECES)))
def test_a_piece_of_html_becomes_markdown(html: str, wanted: str) -> None:
    assert markdown(html) == wanted


def test_the_main_part_is_enough_when_it_has_something_to_say() -> None:
    words = "<p>" + "word " * 60 + "</p>"
    assert "around" not in markdown(f"<div>around</div><main>{words}</main>")
    assert markdown("<div>around</div><main><p>loading</p></main>") == "around\n\nloading"


def test_plain_text_keeps_the_lines() -> None:
    html = "<!doctype html><!-- note --><title>T</title><h1>A  b</h1><ul><li>one <i>two</i></li><li>three</li></ul>"
    assert page.plain(html) == ("T", "A b\n\none two\nthree")


if __name__ == "__main__":
    for each in SAVED:
        (PAGES / f"{each}.md").write_text(read(each), "utf-8")
    sys.exit()
