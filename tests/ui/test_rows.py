"""Rows: widths, wrapping and cutting, as a terminal counts columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.ui.rows import Row, ansi, clean, cut, width, wrap


def lines(text: str, columns: int) -> list[str]:
    return ["".join(piece for _, piece in row) for row in wrap([("", text)], columns)]


@pytest.mark.parametrize(
    ("text", "columns", "wanted"),
    [
        ("", 5, [""]),
        ("a b", 5, ["a b"]),
        ("aaa bbb ccc", 7, ["aaa bbb", "ccc"]),
        ("aaa    bbb", 4, ["aaa", "bbb"]),
        ("aaaaaaaa b", 3, ["aaa", "aaa", "aa", "b"]),
        ("  lead", 10, ["  lead"]),
        ("世界世界", 5, ["世界", "世界"]),
        ("a世b界", 3, ["a世", "b界"]),
        ("👋👋", 1, ["👋", "👋"]),
    ],
)
def test_wrapping(text: str, columns: int, wanted: list[str]) -> None:
    assert lines(text, columns) == wanted


@given(st.text(st.sampled_from("ab 世👋é\u0301"), max_size=60), st.integers(2, 20))
def test_wrapped_rows_fit_and_hold_every_letter(text: str, columns: int) -> None:
    rows = lines(text, columns)
    assert all(width(row) <= columns for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")


def test_styles_survive_a_break_within_them() -> None:
    row: Row = [("1", "bold words"), ("", " and "), ("36", "code")]
    assert wrap(row, 8, ("2", "> "), "  ") == [
        [("2", "> "), ("1", "bold")],
        [("", "  "), ("1", "words")],
        [("", "  "), ("", "and")],
        [("", "  "), ("36", "code")],
    ]


def test_cutting_never_exceeds_the_columns() -> None:
    assert cut("short", 5) == "short"
    assert cut("longer", 5) == "long…"
    assert cut("世界世界", 5) == "世界…"


def test_foreign_control_characters_never_reach_the_terminal() -> None:
    assert clean("a\x1b]52;c;x\x07b\x9bc\rd\te") == "a]52;c;xbcd e"
    assert ansi([("31", "x"), ("", "y")], color=True) == "\x1b[31mx\x1b[0my"
    assert ansi([("31", "x"), ("", "y")], color=False) == "xy"
