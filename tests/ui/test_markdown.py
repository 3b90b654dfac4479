"""Markdown to rows: what each construct looks like, that streaming changes nothing, that rows fit."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocode.ui.inline import inline
from nanocode.ui.markdown import Markdown, texts, whole
from nanocode.ui.rows import Row, width

DOCUMENT = """\
# Title with `code`

Some **bold and very long** paragraph with words that go on; 中文字符也应该正确换行而不会溢出屏幕的边界 and more.

- item one is long enough to wrap around the edge
  - nested [x](http://a.b/c_d)
1. first
- [x] done
- [ ] open

> quoted text that is long enough to wrap

```python
def f(x):
    return "a line of code that is longer than any window here and is never broken"
```

| name | value |
|---|--:|
| a | 1 |
| b `c` | 22 |

***
end"""


def plain(text: str, columns: int = 40) -> str:
    return "\n".join(line.rstrip() for line in texts(whole(text, columns)))


def styles(row: Row) -> dict[str, str]:
    return {text: style for style, text in row}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Title #", "Title"),
        ("a\n\n\nb", "a\n\n\nb"),
        ("* one\n+ two\n2) three", "• one\n• two\n2) three"),
        ("- [ ] open\n- [X] done", "☐ open\n☑ done"),
        ("> said\n> > deeper", "│ said\n│ │ deeper"),
        ("---", "─" * 40),
        ("~~~\n# no title\n~~~", "~~~\n# no title\n~~~"),
        ("````\n```\n````", "````\n```\n````"),
        ("  ```sh\n  ls\n  ```", "```sh\nls\n```"),
        ("| a | b |\n|---|--:|\n| x | 1 |", "a │ b\n──┼──\nx │ 1"),
        ("| no rule |\nafter", "| no rule |\nafter"),
        ("| a \\| b | c |\n|---|---|\n| d |", "a | b │ c\n──────┼──\nd     │"),
        ("a_b_c 2*3*4 __init__", "a_b_c 2*3*4 init"),
        ("``a `b` ```c", "``a b ```c"),
        ("\\*not\\* ``a`b``", "*not* a`b"),
        ("[here](http://x.y) <http://z.z>", "here (http://x.y) http://z.z"),
        ("a\x1b[31mb\x07\tc", "a[31mb  c"),
    ],
)
def test_what_it_looks_like(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_rows_hang_under_their_own_text() -> None:
    assert plain("- " + "word " * 8, 20) == "• word word word\n  word word word\n  word word"
    assert plain("  1. " + "word " * 5, 16) == "  1. word word\n     word word\n     word"
    assert plain("    " + "word " * 4, 12) == "    word\n    word\n    word\n    word"


def test_a_table_that_is_too_wide_wraps_its_cells_and_then_becomes_records() -> None:
    table = "| name | what it is for |\n|---|---|\n| alpha | " + "many words " * 5 + "|"
    rows = texts(whole(table, 30))
    assert max(map(width, rows)) <= 30 and "─┼─" in rows[1]
    many = "|" + "column|" * 8 + "\n|" + "---|" * 8 + "\n|" + "value|" * 8
    assert texts(whole(many, 30)) == ["column: value"] * 8


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("**a**", "1"),
        ("*a*", "3"),
        ("_a_", "3"),
        ("***a***", "1;3"),
        ("~~a~~", "9"),
        ("`a`", "36"),
        ("http://a.b", "4"),
    ],
)
def test_styles(text: str, style: str) -> None:
    [[found, _]] = inline(text)
    assert found == style


def test_styles_nest() -> None:
    assert styles(inline("**a `b` _c_**")) == {"a ": "1", "b": "1;36", " ": "1", "c": "1;3"}


def test_code_is_colored_by_who_knows_how_and_keeps_its_lines() -> None:
    asked = []

    def colors(language: str, before: list[str], lines: list[str]) -> list[Row]:
        asked.append((language, before, lines))
        return [[("35", line)] for line in lines]

    markdown = Markdown(lambda: 40, colors)
    rows = markdown.feed("```py title\na\nb\n") + markdown.feed("c\n```\nd")
    assert asked == [("py", [], ["a", "b"]), ("py", ["a", "b"], ["c"])]
    assert rows == [[("2", "```py title")], [("35", "a")], [("35", "b")], [("35", "c")], [("2", "```")]]


def test_the_unfinished_line_shows_before_its_end() -> None:
    markdown = Markdown(lambda: 40)
    assert markdown.feed("some **bo") == []
    assert texts(markdown.tail()) == ["some **bo"]
    markdown.feed("ld** text")
    assert texts(markdown.tail()) == ["some bold text"]
    assert texts(markdown.end()) == ["some bold text"]
    assert markdown.tail() == [] and markdown.end() == []


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(DOCUMENT)), max_size=30), st.sampled_from([20, 40, 80]))
def test_streaming_gives_the_rows_of_the_whole(cuts: list[int], columns: int) -> None:
    places = [0, *sorted(cuts), len(DOCUMENT)]
    markdown = Markdown(lambda: columns)
    rows = []
    for start, end in pairwise(places):
        rows += markdown.feed(DOCUMENT[start:end])
        markdown.tail()
    assert texts(rows + markdown.end()) == texts(whole(DOCUMENT, columns))


WORDS = st.sampled_from(
    [
        "a",
        "word",
        "世界你好",
        "longerwords",
        "|",
        "**b",
        "b**",
        "`c`",
        "_x_",
        "http://a.b",
        "\\*",
        "-",
        "#",
        ">",
        "\n",
        "  ",
    ]
)


@settings(max_examples=200)
@given(st.lists(WORDS, max_size=60), st.sampled_from(["", "- ", "12. ", "> ", "# ", "    ", "| "]), st.integers(8, 30))
def test_long_lines_stream_to_the_rows_of_the_whole(words: list[str], lead: str, columns: int) -> None:
    text = f"{lead}{' '.join(words)}\n"
    markdown = Markdown(lambda: columns)
    rows = [row for character in text for row in markdown.feed(character)]
    assert rows + markdown.end() == whole(text, columns)


def test_little_of_a_long_line_of_plain_words_may_still_change() -> None:
    markdown = Markdown(lambda: 30)
    for word in ("- item", *["word"] * 400):
        markdown.feed(f"{word} ")
        assert len(markdown.tail()) < 5


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab *_`~[]()|#>-1.\\\n 世👋é!:/"), max_size=120), st.integers(8, 40))
def test_anything_is_rows_that_fit_and_no_letter_is_lost(text: str, columns: int) -> None:
    rows = texts(whole(text, columns))
    if "```" not in text and "~~~" not in text and "|" not in text:
        assert all(width(row) <= columns for row in rows)
    assert "".join(rows).count("世") == text.count("世")
    assert "".join(rows).count("b") >= text.count("b")


def test_a_line_that_never_ends_is_shown_in_parts_and_whole() -> None:
    words = [f"w{number}" for number in range(5000)]
    markdown = Markdown(lambda: 60)
    rows = []
    for word in words:
        rows += markdown.feed(f"{word} ")
        assert len(markdown.tail()) < 40
    assert " ".join(texts(rows + markdown.end())).split() == words


@pytest.mark.parametrize("marks", ["`", "`a``b", "**a ", "*a_b**c__`d~~", "[a](", "<http://", "- ", "|", "# ", "> "])
def test_marks_that_never_close_cost_little(marks: str) -> None:
    began = time.process_time()
    for lead in ("", "x "):
        rows = whole(lead + marks * (20_000 // len(marks)), 80)
        assert "".join(texts(rows)).count("a") == marks.count("a") * (20_000 // len(marks))
    # Where it once went wrong it took a minute for a tenth of that.
    assert time.process_time() - began < 10
