"""Both twins of the search give the same answer, whatever the pattern, the bytes, the options and the processor."""

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanocode.hot import search as reference

try:
    from nanocode._ext import search as native
except ImportError as error:
    if os.environ.get("NANOCODE_EXT") == "require" and os.name == "posix":
        raise
    pytest.skip(f"native twin not built: {error}", allow_module_level=True)

WORDS = (
    "a b k S é 日 \\x00 . \\w \\W \\s \\S \\d [ab] [^a] [^é-日] \\r needle abc ^ $ \\b \\B "
    "\\p{Greek} (?i:ks) \\A \\z \\n interface{} a{2}"
)
ATOMS = st.sampled_from(WORDS.split(" "))
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join).map(lambda each: f"({each})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "*?", "{2}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
        inner.map(lambda each: f"(?={each})"),
        inner.map(lambda each: f"(?<!{each})"),
        inner.map(lambda each: f"({each})\\1"),
        inner.map(lambda each: f"(?>{each})"),
        inner.map(lambda each: f"(?<=a{each}|b)"),
        inner.map(lambda each: f"(?i:({each})\\1)"),
        inner.map(lambda each: f"(?!{each}b)(?:({each})|k)*\\1"),
    ),
    max_leaves=8,
)
PIECES = st.sampled_from(
    [b"a", b"b", b"K", b"s", b"needle", b"abc", b" ", b"\t", b"_", b"1", b"\n", b"\n", b"\r\n", b"\r", b"\0"]
    + [text.encode() for text in ("é", "日", "λ", "\u212a", "\u017f", "\x85", "😀", "interface{}")]
    + [b"\xff", b"\xe4\xb8", b"\xed\xa0\x80", b"\xf5", b"\xc0\x80", b"\x80", b"a" * 600, "日é".encode() * 400]
)
TEXTS = st.tuples(
    st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"x" * 5000 + b"\n"]),
    st.lists(PIECES, max_size=60).map(b"".join),
).map(b"".join)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "ignore_case": st.booleans(),
        "literal": st.sampled_from([False, False, True]),
        "multiline": st.sampled_from([False, False, True]),
        "context": st.integers(0, 2),
        "mode": st.sampled_from(["lines", "lines", "files", "count"]),
        "limit": st.sampled_from([1, 2, 5]),
    },
)


@pytest.fixture(params=native.isas(), scope="module")
def isa(request: pytest.FixtureRequest) -> Any:
    native.choose(request.param)
    yield request.param
    native.choose(native.isas()[-1])


def same(root: str | Path, pattern: str, **options: Any) -> None:
    ours, theirs = native.search(str(root), pattern, **options), reference.search(str(root), pattern, **options)
    if theirs.limit_reached:
        assert ours.limit_reached and (ours.files, ours.matches) == (theirs.files, theirs.matches)
    else:
        assert ours == theirs


@settings(max_examples=150)
@given(pattern=PATTERNS, texts=st.lists(TEXTS, min_size=1, max_size=3), options=OPTIONS)
@example("a$", [b"a\r\n" * 3000], {})
@example("(\\A.)\\1", [b"x\naab\n"], {})
@example("(^.)\\1", [b"x\naab\n"], {})
@example("\\bk", ["\u212a k\u00e9k\n".encode() * 900], {"ignore_case": True, "context": 1, "limit": 7})
def test_the_twins_agree(isa: str, pattern: str, texts: list[bytes], options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            Path(folder, f"file{number}").write_bytes(text)
        same(folder, pattern, **options)


IRREGULAR = (
    "(\\w{4})_\\1_",
    "(?i)(\\w)(k)x\\2\\1",
    "(.)(.)\\2\\1",
    "(?:(a)|(b))+_(?:\\1|\\2)",
    "\\b(\\w+)\\s+\\1\\b",
    "([ab]{1,3})_\\1",
    "a*b(?=k)",
    "(a*?)b\\1$",
    "(?:(a)b?){2}\\1",
    "(?=(a+))\\1b",
    "(?<=(?<!a)b|é)\\w",
    "(?<![a-y]{2})é",
    "(?<!^a+)b",
    "(?>a|ab)c",
    "a*+[ab]",
    "(?:(?!ab).)*é$",
    "(日|é)k\\1",
    "([^ ]) \\1 \\1",
)


@pytest.mark.parametrize("pattern", IRREGULAR)
def test_the_twins_agree_on_what_no_automaton_decides(isa: str, tmp_path: Path, pattern: str) -> None:
    choose = random.Random(pattern)
    pieces = ["a", "a", "b", "ab", "k", "K", "x", "é", "日", "_", " ", "  ", "c", "\u212a", "aaab_aaab_", "a" * 40]
    lines = ["".join(choose.choices(pieces, k=choose.choice([2, 6, 12, 90]))).encode() for _ in range(600)]
    lines += [line[: len(line) // 2] + b"\xff" + line[len(line) // 2 :] for line in lines[:50]]
    (tmp_path / "file").write_bytes(b"\r\n".join(lines))
    found = reference.search(str(tmp_path), pattern)
    assert 0 < found.matches < len(lines) and not found.unreadable
    assert native.search(str(tmp_path), pattern) == found


LINES = [
    b"static int answer(void)",
    b"\treturn needle ? 42 : 0;",
    b"",
    b"\xff\xfebroken \xe4\xb8 bytes",
    "naïve café — λόγος 日本語".encode(),
    b"PM_RESUME SYS_RESUME Kelvin \xe2\x84\xaa",
    b"x = x + x; " * 90,
    b"tail\r",
]


@pytest.mark.parametrize("seed", range(2))
def test_the_twins_agree_on_larger_files(isa: str, tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    for number in range(8):
        lines = choose.choices(LINES, k=choose.choice([0, 1, 50, 400, 1500]))
        (tmp_path / f"{number}").write_bytes(b"\n".join(lines) + choose.choice([b"", b"\n", b"\r\n", b"needle"]))
    for pattern in (
        "needle",
        "(?i)NEEDLE",
        "[A-Z]+_RESUME",
        "return|static|café",
        "\\p{Greek}+",
        "\\w{5}\\s+\\w{5}",
        "x$|l$",
        "^$",
        "(?<!S)_RESUME",
        "([a-z])\\1",
        "(?i)k\\b",
        "[^\\x00-\\x7f]$",
    ):
        same(tmp_path, pattern)
        same(tmp_path, pattern, mode="count")
        same(tmp_path, pattern, limit=choose.randrange(1, 1500), context=choose.choice([0, 1]))


# Few kinds of bytes and many; states that are soon too many; matches everywhere and hardly anywhere.
STRIDES = [
    "\\w{3}\\s+\\w{2}\\b",
    "[ab]c|[de]f|[gh]i|[jk]l|[mn]o|[pq]r|[st]u|[vw]x",
    "[a-m].{11}[xé]$",
    "\\s",
    "^.?$",
    "é.z",
]


@pytest.mark.parametrize("pattern", STRIDES)
def test_the_twins_agree_where_no_literal_helps(tmp_path: Path, pattern: str) -> None:
    choose = random.Random(pattern)
    letters = "abcdefghijklmnopqrstuvwxyz" * 3 + "    \t_.1é日\r\xff"
    for size in (511, 513, 5_000, 40_000):
        text = "".join(choose.choices(letters + "\n" * choose.choice([1, 9]), k=size))
        (tmp_path / str(size)).write_bytes(text.encode().replace("ÿ".encode(), b"\xff"))
    same(tmp_path, pattern)
    same(tmp_path, pattern, limit=choose.randrange(1, 60))


@pytest.mark.parametrize("pattern", ["needle", "n[e]+dle", "dl[^x]$", "(?<=x)needle"])
def test_the_twins_cut_the_same_endless_line(isa: str, tmp_path: Path, pattern: str) -> None:
    longest = reference.LONGEST
    piece = "é".encode() * (longest // 2 - 1)
    data = piece + b"x" + "é".encode() + b"xneedle\n" + b"y" * (longest + 5) + b"needle" + b"\nneedle"
    (tmp_path / "file").write_bytes(data)
    same(tmp_path, pattern)


@pytest.mark.parametrize("seed", range(20))
def test_each_line_is_met_once_at_the_seams_of_a_file_that_threads_share(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    data = bytearray()
    while len(data) < 10 << 20:
        # One that ends at a seam of pieces or of reads, or just before or after, or some that go on far beyond it.
        seam = (len(data) >> 18) + 1 << 18
        size = choose.choice([seam - len(data) + choose.randrange(-3, 4), choose.randrange(9000), 300_000])
        data += b"x" * max(size - 7, 0) + choose.choice([b"needle", b"other"]) + b"\n"
    (tmp_path / "file").write_bytes(data)
    expected = [number for number, line in enumerate(data.split(b"\n"), 1) if b"needle" in line]
    for pattern in ("needle", "n[e]+dle"):
        assert [line.number for line in native.search(str(tmp_path), pattern).files[0].lines] == expected


def test_the_answer_does_not_depend_on_the_threads(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").write_text("needle\n" * (number % 7) + "other\n" * 50)
    expected = reference.search(str(tmp_path), "needl.", limit=200)
    for _ in range(20):
        found = native.search(str(tmp_path), "needl.", limit=200)
        assert (found.files, found.matches, found.limit_reached) == (expected.files, 200, True)


def deep_tree(top: Path) -> None:
    """Folders in folders, more than are held open, each with files before and after the folder in it."""
    place = top
    for depth in range(40):
        place.mkdir(exist_ok=True)
        for name in "az":
            for number in range(12):
                (place / f"{name}{number:02}").write_text("needle\n" * ((depth + number) % 5 == 0) + "other\n")
        place = place / "middle"


@pytest.mark.parametrize("limit", [0, 1, 7, 50, 120, 200, 1000])
def test_the_first_matches_of_a_deep_tree_are_those_in_path_order(tmp_path: Path, limit: int) -> None:
    deep_tree(tmp_path)
    for mode in ("lines", "files", "count"):
        expected = reference.search(str(tmp_path), "needle", limit=limit, mode=mode)
        for _ in range(5):
            found = native.search(str(tmp_path), "needle", limit=limit, mode=mode)
            assert (found.files, found.limit_reached) == (expected.files, expected.limit_reached)


@pytest.fixture
def one_processor() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the processors of a thread cannot be chosen here")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_processor")
@pytest.mark.parametrize("limit", [1, 7, 50, 120])
def test_no_file_is_read_beyond_the_match_that_is_left_out(tmp_path: Path, limit: int) -> None:
    deep_tree(tmp_path)
    expected = reference.search(str(tmp_path), "needle", limit=limit)
    found = native.search(str(tmp_path), "needle", limit=limit)
    assert expected.limit_reached and found.limit_reached
    assert found.searched == expected.searched


def test_an_unknown_instruction_set_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no `mmx` here; use one of plain"):
        native.choose("mmx")
