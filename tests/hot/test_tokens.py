"""The estimate of tokens: both twins give the same number, that of a naive sum over the pairs, and it is a fair one."""

import random
import re
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanocode.hot.tokens import ONE, SAME, SAME_WIDE, TABLE

HOT = "tokens"

RUNS = st.builds(lambda char, times: char * times, st.sampled_from("=-_~ \t\n\r━…哈a1€é🙂\x00"), st.integers(1, 9))
TEXTS = st.lists(RUNS | st.text(max_size=8) | st.sampled_from(["\r\n", " \n", "def f(x):", "ünï"])).map("".join)


def naive(text: str) -> int:
    """The contract, run by run."""
    marked = [symbol for run in re.finditer(r"(?s)[ \t\r\n]+|(.)\1*", text) for symbol in symbols_of(run[0])]
    pairs = pairwise(marked)
    total = ONE + sum(TABLE[256 * first + second] for first, second in pairs)
    return (total + ONE // 2) // ONE if text else 0


def symbols_of(run: str) -> list[int]:
    if run[0] in " \t\r\n":
        kinds = {" ": 1, "\t": 3, "\r": 5, "\n": 5}
        ahead = pairwise(run)
        return [kinds[char] + (after in "\r\n") for char, after in ahead] + [ord(run[-1])]
    data, times = run[0].encode(), len(run)
    plain = [0 if byte < 32 or byte == 127 else byte for byte in data]
    if times >= 4 and run[0].isascii() and run[0].isprintable() and not run[0].isalnum():
        return plain + [SAME] * (times - 2) + plain
    if times >= 3 and len(data) == 3 and data[0] >= 0xE2:
        return plain + [SAME_WIDE] * 3 * (times - 2) + plain
    return plain * times


@settings(max_examples=400)
@given(TEXTS)
@example("")
@example("\n")
@example("━━")
@example("====\n\n\n    x")
def test_it_is_the_sum_over_the_pairs(twin: ModuleType, text: str) -> None:
    assert twin.estimate(text) == naive(text)


PLACED = ["====", "\t\t", " \n", "\r\n\r", "━━━", "哈哈", "aaaa", "0000", "``", "\x00" * 4, "\x7f"]


@pytest.mark.parametrize("run", PLACED)
def test_it_is_the_same_sum_wherever_a_run_stands(twin: ModuleType, run: str) -> None:
    plain = 4 * "some words of a text, "
    for place in range(len(plain)):
        text = plain[:place] + run + plain
        assert twin.estimate(text) == naive(text)


@pytest.mark.parametrize("size", [8190, 8191, 8192, 8193, 8194, 16_386])
@pytest.mark.parametrize("first", [0, 1])
def test_a_long_text_is_counted_to_its_last_pair(twin: ModuleType, size: int, first: int) -> None:
    # Every second pair is nearly a whole token: none can be left out without being missed.
    text = (9000 * "I ")[first : first + size]
    assert twin.estimate(text) == naive(text)


@settings(max_examples=300)
@given(st.text(st.characters(), max_size=40))
@example("a\ud800\udfff??b")
def test_lone_surrogates_count_as_question_marks(twin: ModuleType, text: str) -> None:
    assert twin.estimate(text) == twin.estimate(text.encode("utf-8", "replace").decode())


def test_random_bytes_as_text_count_the_same_in_both_twins(twin: ModuleType) -> None:
    from nanocode.hot.tokens import estimate

    source = random.Random(7)
    for size in (1, 2, 3, 100, 5000):
        for encoding in ("utf-8", "latin-1", "utf-16"):
            text = source.randbytes(2 * size).decode(encoding, "replace")
            assert twin.estimate(text) == estimate(text)


@pytest.mark.parametrize("other", [b"bytes", None, 7])
def test_only_text_is_counted(twin: ModuleType, other: object) -> None:
    with pytest.raises(TypeError):
        twin.estimate(other)


# What o200k counts.
KNOWN = [
    ("", 0),
    ("hi", 1),
    ("what files are here?", 5),
    ("def add(first, second):\n    return first + second\n", 12),
    ('{"path": "src/nanocode/agent/loop.py", "offset": 120}', 20),
    ("The quick brown fox jumps over the lazy dog. " * 3, 31),
    ("日本語の文章をいくつかのトークンに分けます。", 18),
    ("Привет, как дела сегодня?", 7),
    ("━" * 80, 10),
    ("=" * 60, 2),
    (" " * 400, 4),
    ("   1| import os\n   2| import sys\n   3| \n", 19),
    ("aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ=", 22),
]


@pytest.mark.parametrize(("text", "exact"), KNOWN)
def test_short_texts_are_close(twin: ModuleType, text: str, exact: int) -> None:
    assert abs(twin.estimate(text) - exact) <= 1 + exact // 5


def test_the_table_is_as_small_as_it_must_be() -> None:
    assert len(TABLE) == 64 << 10
