"""Edits go to the one place they belong and change nothing else: both twins, against naive code that shares nothing."""

# ruff: noqa: RUF001 - how quotes look is what is tested
import re
import tracemalloc
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanocode.errors import EditError

HOT = "edits"
BOM = b"\xef\xbb\xbf"


def edited(twin: ModuleType, data: bytes, *edits: tuple[str, str]) -> bytes:
    result: bytes = twin.apply(data, twin.plan(data, edits))
    return result


def refused(twin: ModuleType, data: bytes, *edits: tuple[str, str]) -> tuple[str, str]:
    """The reason and the words."""
    with pytest.raises(EditError) as caught:
        twin.plan(data, edits)
    return caught.value.reason, str(caught.value)


PLACED = [
    (b"a\nb\nc\n", "b", "x", b"a\nx\nc\n", "exact"),
    (b"a\nb\nc\n", "b\n", "", b"a\nc\n", "exact"),
    (b"a", "a", "$& \\1 \\g<0> $1 \\n", b"$& \\1 \\g<0> $1 \\n", "exact"),
    (b"a.c abc", "a.c", "x", b"x abc", "exact"),
    (b"caf\xe9 = 1\nn\xe4chste = 2\n", "= 2", "= 3", b"caf\xe9 = 1\nn\xe4chste = 3\n", "exact"),
    (b"\xff\xfd\x80 one \x00\xc3(\n", "one", "two \u20ac", b"\xff\xfd\x80 two \xe2\x82\xac \x00\xc3(\n", "exact"),
    ("größer 木\n".encode(), "ößer", "oß", "groß 木\n".encode(), "exact"),
    (BOM + b"a\n", "a", "b", BOM + b"b\n", "exact"),
    (BOM + b"a\n", "\ufeffa", "\ufeffb", BOM + b"b\n", "exact"),
    (b"x\na\n", "\ufeffa", "\ufeffb", b"x\nb\n", "exact"),
    (b"a\nb", "b", "c", b"a\nc", "exact"),
    (b"a\nb", "b", "c\n", b"a\nc\n", "exact"),
    # A first line end in a place takes those of the line, or of the line before.
    (b"a\r\nb\r\n", "a", "x\ny", b"x\r\ny\r\nb\r\n", "exact"),
    (b"a\nb\r\nc\n", "b", "x\ny", b"a\nx\r\ny\r\nc\n", "exact"),
    (b"a\nb\r\nc", "c", "x\ny", b"a\nb\r\nx\r\ny", "exact"),
    (b"a\rb\r", "b", "x\ny", b"a\rx\ry\r", "exact"),
    (b"a", "a", "x\ny", b"x\ny", "exact"),
    # What names its line ends means them.
    (b"a\r\nb\r\n", "a\r\nb", "x\ny", b"x\ny\r\n", "exact"),
    (b"a\nb\n", "a", "x\r\ny", b"x\r\ny\nb\n", "exact"),
    (b"a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\nz\n", b"x\r\ny\r\nz\r\nc\r\n", "line ends"),
    (b"a\rb\rc\r", "a\nb", "x\ny", b"x\ry\rc\r", "line ends"),
    (b"a\nb\nc\n", "a\r\nb", "x\r\ny", b"x\ny\nc\n", "line ends"),
    # Mixed ends: lines outside and lines that both texts share keep theirs.
    (b"1\r\n2\n3\r4\r\n5\n", "2\n3\n4\n", "2\nx\n4\n", b"1\r\n2\nx\r4\r\n5\n", "line ends"),
    (b"1\n2\r\n3\n", "1\n2\n3", "1\n2\nnew\n3", b"1\n2\r\nnew\r\n3\n", "line ends"),
    # A CRLF is taken whole.
    (b"a\r\nb\r\n", "\nb", "X\nb", b"aX\r\nb\r\n", "line ends"),
    (b"a\r\nb\r\n", "a\r", "x\r", b"x\r\nb\r\n", "line ends"),
    (b"a\r\n\r\nb\r\n", "a\n\nb", "a\nb", b"a\r\nb\r\n", "line ends"),
    (b"if a:  \n    b\t\nc", "if a:\n    b\nc", "if a:\n    d\nc", b"if a:  \n    d\nc", "looks"),
    (b"x \r\n\t\r\ny", "x\n\ny", "x\n\nz", b"x \r\n\t\r\nz", "looks"),
    ("say(“hi”)  # it’s – so\n".encode(), 'say("hi")  # it\'s - so', "say()", b"say()\n", "looks"),
    (b'say("hi") - it\'s\n', "say(“hi”) — it’s", "say()", b"say()\n", "looks"),
    ("a\u00a0b\u3000c\n".encode(), "a b c", "a b", b"a b\n", "looks"),
    ("‘é’ = 1\n‘x’\n".encode(), "'é' = 1\n'x'", "'é' = 2\n'x'", "'é' = 2\n‘x’\n".encode(), "looks"),
    ("‘a’ “'a”".encode(), "'a’", "x", "x “'a”".encode(), "looks"),
    # Trailing whitespace of the old text's last line counts as such only where the line ends.
    (b"foo\nfoobar\nx\n", "foo \nfoobar", "y", b"y\nx\n", "looks"),
    (b"xfoo\nfoobar\n", "foo ", "y", b"xy\nfoobar\n", "looks"),
    (b"a  \n    b\n", "a\n    ", "c\n    ", b"c\n    b\n", "looks"),
]


@pytest.mark.parametrize(("data", "old", "new", "after", "level"), PLACED)
def test_the_text_is_replaced_and_nothing_else(
    twin: ModuleType, data: bytes, old: str, new: str, after: bytes, level: str
) -> None:
    (splice,) = twin.plan(data, [(old, new)])
    assert twin.apply(data, [splice]) == after
    assert splice.level == {"looks": twin.LOOKS}.get(level, level)


def test_all_edits_are_matched_against_the_file_as_it_was(twin: ModuleType) -> None:
    assert edited(twin, b"a b c", ("c", "a"), ("a", "b"), ("b", "c")) == b"b c a"
    assert edited(twin, b"abcd", ("cd", "2"), ("ab", "1")) == b"12", "neighbours do not overlap"


NOT_UNIQUE = [
    (b"aaa", "aa", "2 times (lines 1, 1)"),
    (b"x\ny\nx\n\rx\r\nx", "x", "4 times (lines 1, 3, 5, 6)"),
    (b"a\r\nb\r\na\nb\r", "a\r\nb\n", "2 times when line ends are ignored (lines 1, 3)"),
    (b"a\r\nb\ra\rb\r\n", "a\nb\n", "2 times when line ends are ignored (lines 1, 3)"),
    (b"a  \nb\n\na\t\nb\n", "a\nb", "2 times when trailing whitespace and the looks of quotes, dashes and spaces are"),
    (b"\r\n\r\n", "\n", "2 times (lines 1, 2)"),
    (b"ab" * 500, "ab", "more than 100 times (lines 1, 1, "),
]


@pytest.mark.parametrize(("data", "old", "words"), NOT_UNIQUE)
def test_a_text_that_is_there_more_than_once_is_refused_with_all_its_lines(
    twin: ModuleType, data: bytes, old: str, words: str
) -> None:
    reason, said = refused(twin, data, (old, "y"))
    assert reason == "not unique"
    assert said.startswith(f"`oldText` occurs {words}")
    assert said.endswith("; add surrounding lines to make it unique")


def test_overlaps_name_both_edits_and_their_lines(twin: ModuleType) -> None:
    data = b"one\ntwo\nthree\nfour\n"
    assert refused(twin, data, ("two\nthree", "a"), ("four", "b"), ("one\ntwo", "c")) == (
        "overlap",
        "`edits[0]` and `edits[2]` overlap (lines 2-3 and 1-2); make one edit of them",
    )
    assert refused(twin, data, ("two", "a"), ("two", "b"))[0] == "overlap"


@pytest.mark.parametrize(
    ("data", "edit", "reason", "words"),
    [
        (b"a", ("", "b"), "empty", "`oldText` is empty; give the text to replace, or use write for a whole file"),
        (b"a", ("a", "a"), "same", "`oldText` and its newText are the same; there is nothing to change"),
        (b"", ("a", "b"), "absent", "`oldText` is not in the file, nor anything like it; read the file again"),
        ("a\n".encode("utf-16"), ("a", "b"), "encoding", "the file is UTF-16, which edit does not change; convert"),
        ("alpha\n".encode("utf-16-be"), ("a", "b"), "encoding", "the file is UTF-16, which edit does not change"),
        (b"\r\n \r\n", ("  \n", "b"), "absent", "`oldText` is not in the file"),
    ],
)
def test_what_cannot_be_an_edit_is_refused(
    twin: ModuleType, data: bytes, edit: tuple[str, str], reason: str, words: str
) -> None:
    found, said = refused(twin, data, edit)
    assert (found, said[: len(words)]) == (reason, words)


def test_every_failed_edit_of_a_batch_is_named(twin: ModuleType) -> None:
    reason, said = refused(twin, b"a\na\nb\n", ("a", "x"), ("b", "y"), ("", "z"))
    first, second = said.split("\n")
    assert reason == "not unique"
    assert first.startswith("`edits[0].oldText` occurs 2 times (lines 1, 2)")
    assert second.startswith("`edits[2].oldText` is empty")


FILE = b"""import os


def first(path):
    return os.stat(path).st_size


class Thing:
\tname = 'thing'
\tsize = 4
"""
HINTS = [
    (FILE, "def first(path):\n  return os.stat(path).st_size", "indentation", "lines 4-5, 100 % alike"),
    (FILE, "class Thing:\n    name = 'thing'\n    size = 4", "tabs", "lines 8-10, 100 % alike"),
    (FILE, "name ='thing'", "spaces", "line 9, 100 % alike"),
    (FILE, "import os\n\ndef first(path):", "line ends", "lines 1-4, 100 % alike"),
    (FILE, 'name = "thing"', "quotes", "line 9, 8"),
    (FILE, "def first(path):\n    return os.stat(path).st_mtime", "text", "lines 4-5, 93 % alike"),
    (b"x\ncaf\xe9 au lait\n", "caf\ufffd au lait", "encoding", "line 2, "),
]


@pytest.mark.parametrize(("data", "old", "reason", "words"), HINTS)
def test_a_miss_names_the_nearest_lines_and_what_differs(
    twin: ModuleType, data: bytes, old: str, reason: str, words: str
) -> None:
    found, said = refused(twin, data, (old, "new"))
    assert found == reason
    assert said.startswith(f"`oldText` is not in the file; nearest is {words}")


def test_a_hint_shows_the_lines_that_differ(twin: ModuleType) -> None:
    said = refused(twin, FILE, ("\tname = 'thing'\n    size = 5\n\tcolour = 1", "new"))[1]
    assert said.split("\n")[1:] == [
        "  line 10 is `\tsize = 4`, oldText has `    size = 5`",
        "  oldText has `\tcolour = 1` after line 10",
    ]


def test_tabs_show_where_they_are_what_differs(twin: ModuleType) -> None:
    said = refused(twin, FILE, ("class Thing:\n    name = 'thing'", "new"))[1]
    assert said.partition("nearest is ")[2].split("\n") == [
        "lines 8-9, 100 % alike: tabs (here →) stand where the other has spaces",
        "  line 9 is `→name = 'thing'`, oldText has `    name = 'thing'`",
    ]


@pytest.mark.parametrize(
    ("old", "reason", "line"),
    [
        ("   4| def first(path):\n   5|     return os.stat(path).st_size", "numbers", 4),
        ("class Thing:\\n\\tname = \\'thing\\'", "escapes", 8),
    ],
)
def test_what_the_writer_put_in_is_named(twin: ModuleType, old: str, reason: str, line: int) -> None:
    found, said = refused(twin, FILE, (old, "new"))
    assert found == reason
    assert said.startswith(f"`oldText` is not in the file; it is at line {line} without ")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("size = 3", "\tsize = 4\n", 10),
        ("    return os.path.getsize(path)", "    return os.stat(path).st_size", 5),
        ("def first():\n    pass", "def first(path):\r\n    return os.stat(path).st_size", 4),
    ],
)
def test_an_edit_done_before_is_said_to_be(twin: ModuleType, old: str, new: str, line: int) -> None:
    words = f"`oldText` is not in the file, but its newText is: already applied at line {line}"
    assert refused(twin, FILE, (old, new)) == ("already applied", words)


def test_a_word_that_is_everywhere_is_no_edit_done_before(twin: ModuleType) -> None:
    assert refused(twin, FILE, ("def second(path):", "path"))[0] == "text"


# Properties, against naive code.

letters = st.text(alphabet="ab \t\n\r'\u2019\u00e9", max_size=12)
bits = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b" ", b"\t", b"\n", b"\r\n", b"\r", b"\xe9", b"'", b"\xe2\x80\x99"])
)
files = st.one_of(bits.map(b"".join), st.binary(max_size=40), letters.map(str.encode))


def overlapping(data: bytes, needle: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(needle, at)]


def torn(data: bytes, at: int) -> bool:
    return data[max(0, at - 1) : at + 1] == b"\r\n"


@settings(max_examples=400)
@given(files, letters.filter(bool), letters)
@example(b"aaa", "aa", "b")
def test_one_edit_is_what_naive_code_makes_of_it(twin: ModuleType, data: bytes, old: str, new: str) -> None:
    places = overlapping(data, old.encode())
    try:
        (splice,) = twin.plan(data, [(old, new)])
    except EditError as error:
        assert (
            len(places) != 1
            or old == new
            or error.reason == "encoding"
            or any(torn(data, at) for at in (places[0], places[0] + len(old.encode())))
        )
        return
    after = twin.apply(data, [splice])
    assert after.startswith(data[: splice.start]) and after.endswith(data[splice.end :])
    assert not torn(data, splice.start) and not torn(data, splice.end)
    assert len(places) < 2
    if splice.level == "exact":
        assert places == [splice.start]
        assert loosely(splice.new) == loosely(new.encode())
    else:
        assert loosely(data[splice.start : splice.end]) == loosely(old.encode())
        assert loosely(splice.new) == loosely(new.encode())


def loosely(data: bytes) -> str:
    """What is left when all that a loose match may ignore is one and the same."""
    text = re.sub(r"\r\n|\r", "\n", data.decode("utf-8", "surrogateescape")).replace("\u2019", "'")
    return re.sub(r"[ \t]+(?=\n|$)", "", text)


# The whole ladder once more, as regular expressions tried at every place of the file.

LINE_END = r"(?>\r\n|\n|\r)"
LOOKALIKES = ["'\u2018\u2019", '"\u201c\u201d', "-\u2013\u2014\u2212", " \u00a0\u3000"]
BLANK = "[ \\t\\v\\f\u00a0\u3000]"


def looked(line: str) -> str:
    found = (next((each for each in LOOKALIKES if char in each), char) for char in line)
    return "".join(f"[{re.escape(each)}]" for each in found)


def lines_looked(lines: list[str]) -> str:
    """Lines with their ends; before a first one that is blank stands the text of another line, or none."""
    stripped = [re.sub(BLANK + r"+\Z", "", line) for line in lines]
    start = "" if stripped[0] else f"(?<!{BLANK})"
    return start + "".join(f"{looked(line)}{BLANK}*{LINE_END}" for line in stripped)


def patterns(old: str) -> dict[str, list[str]]:
    lines = re.split("\r\n|\n|\r", old)
    ladder = {"exact": [re.escape(old)]}
    if len(lines) > 1:
        ladder["line ends"] = [LINE_END.join(map(re.escape, lines))]
    *above, last = lines
    if any(re.sub(BLANK, "", line) for line in lines):
        head, cut = lines_looked(above) if above else "", re.sub(BLANK + r"+\Z", "", last)
        within = looked(last) + (f"(?={BLANK}*[^\\s])" if cut != last else "")
        ended = f"{looked(cut)}(?={BLANK}*(?:[\\r\\n]|\\Z))"
        ladder["trailing whitespace and the looks of quotes, dashes and spaces"] = [head + within, head + ended]
    return ladder


def climbed(data: bytes, old: str) -> tuple[str, set[tuple[int, int]]]:
    """The first level that finds the text, and all places where it does."""
    text = data.decode("utf-8", "surrogateescape")
    offsets = [len(text[:at].encode("utf-8", "surrogateescape")) for at in range(len(text) + 1)]
    for level, ways in patterns(old).items():
        spans = {
            found.span()
            for way in ways
            for at in range(len(text) + 1)
            if (found := re.compile(way).match(text, at)) and (level == "exact" or text[at - 1 : at + 1] != "\r\n")
        }
        places = {(offsets[start], offsets[end]) for start, end in spans}
        if len(places) > 1 or (places and not any(torn(data, at) for place in places for at in place)):
            return level, places
    return "", set()


odd = st.sampled_from(["a", "b", " ", "\t", "\n", "\r\n", "\r", "'", "\u2019", "\u2014", "-", "\u00a0", "\u3000", "é"])
pieces = st.lists(odd, max_size=14).map("".join)


@settings(max_examples=400)
@given(pieces, pieces, pieces, st.sampled_from([b"", b"\xe9", b"\xe2\x80"]), st.data())
@example("a \n", "", "b", b"", None)
def test_each_level_finds_what_regular_expressions_find(
    twin: ModuleType, before: str, old: str, after: str, raw: bytes, draw: st.DataObject | None
) -> None:
    there = draw.draw(st.permutations([old, old.replace(" ", "\u00a0"), old.replace("\n", " \r\n")])) if draw else [old]
    data = before.encode() + there[0].encode() + raw + after.encode()
    level, places = climbed(data, old) if old else ("", set())
    try:
        (splice,) = twin.plan(data, [(old, "new")])
    except EditError as error:
        assert (error.reason == "not unique") == (len(places) > 1)
        assert len(places) != 1 or old == "new"
        return
    assert (splice.level, {(splice.start, splice.end)}) == (level, places)


@settings(max_examples=300)
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=8), st.data())
def test_bytes_outside_the_spans_stay(twin: ModuleType, parts: list[bytes], draw: st.DataObject) -> None:
    # Marks that occur once each stand between runs of any bytes at all; a batch replaces some of them.
    marks = [f"<mark {number}>" for number in range(len(parts))]
    chosen = draw.draw(st.lists(st.sampled_from(marks), unique=True, min_size=1))
    new = {mark: draw.draw(st.text(alphabet="xyz$&\\<>\u20ac", max_size=8)) for mark in chosen}
    data = b"".join(part + mark.encode() for part, mark in zip(parts, marks, strict=True))
    wanted = b"".join(part + new.get(mark, mark).encode() for part, mark in zip(parts, marks, strict=True))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    assert edited(twin, data, *new.items()) == wanted


# The diff, against a reader of diffs that knows nothing of splices.

lines_of = st.lists(st.sampled_from(["a", "b", "c", "", "a b", "d"]), max_size=30)


def patched(data: bytes, diff: str) -> list[str]:
    """What the diff makes of the lines, checking each line that it names."""
    old, new, at = read_lines(data), [], 0
    rows = [row for row in diff.split("\n")[2:] if not row.startswith("\\")]
    for row in rows:
        if header := re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", row):
            start, count, target, _ = (int(each) if each else 1 for each in header.groups())
            start -= count > 0
            new += old[at:start]
            at = start
            assert len(new) == target - (header[4] != "0")
            continue
        if row[0] in " -":
            assert old[at] == row[1:]
            at += 1
        if row[0] in " +":
            new.append(row[1:])
    return new + old[at:]


def read_lines(data: bytes) -> list[str]:
    return [line.decode("utf-8", "replace") for line in data.splitlines()]


@settings(max_examples=300)
@given(lines_of, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.data())
def test_the_diff_makes_the_new_lines_of_the_old(
    twin: ModuleType, lines: list[str], end: str, ended: bool, draw: st.DataObject
) -> None:
    data = (end.join(lines) + end * ended).encode()
    places = draw.draw(st.lists(st.integers(0, len(data)), unique=True, max_size=6).map(sorted))
    inserts = st.sampled_from(["", "x", "x\n", "\nx", "x\ny", "x\ny\nz\n"])
    splices = [
        twin.Splice(start, stop, draw.draw(inserts).replace("\n", end).encode(), "exact")
        for start, stop in zip(places[::2], places[1::2], strict=False)
        if not torn(data, start) and not torn(data, stop)
    ]
    after = twin.apply(data, splices)
    diff = twin.diff(data, splices, "a.txt")
    if after == data:
        assert diff == ""
        return
    assert diff.startswith("--- a.txt\n+++ a.txt\n@@ -")
    if all(mark not in diff for mark in "␍␊"):
        assert patched(data, diff) == read_lines(after)


@settings(max_examples=150)
@given(files, st.integers(0, 40), st.binary(max_size=3), st.data())
def test_searches_and_counts_are_those_of_bytes(
    twin: ModuleType, data: bytes, start: int, piece: bytes, draw: st.DataObject
) -> None:
    piece = piece or data[draw.draw(st.integers(0, 40)) :][:5]
    assert twin.find(data, piece, start) == data.find(piece, start)
    low, high = sorted(draw.draw(st.integers(0, len(data))) for _ in range(2))
    if not torn(data, low) and not torn(data, high):
        assert twin.lines_before(data, low, high) == len((data[low:high] + b"x").splitlines()) - 1


def test_a_text_that_repeats_itself_is_searched_in_time(twin: ModuleType) -> None:
    data = b"ab" * 500_000 + b"c"
    assert twin.find(data, b"ab" * 100_000 + b"c", 0) == 800_000
    assert twin.find(data, b"ab" * 100_000 + b"d", 0) == -1
    assert twin.find(b"x" + b" " * 300 + b"y", b" " * 200, 1) == 1


def peak(twin: ModuleType, data: bytes, old: str) -> int:
    """The most memory that a refused edit takes."""
    tracemalloc.start()
    refused(twin, data, (old, "x"))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_text_that_stands_everywhere_takes_no_memory_for_each_place(twin: ModuleType) -> None:
    data = b"a\n" * 4_000
    assert peak(twin, data, "a\r\n") < 1.3 * peak(twin, data, "a\r\nc")


def test_the_diff_shows_context_and_far_changes_in_hunks_of_their_own(twin: ModuleType) -> None:
    data = b"".join(b"line %d\n" % number for number in range(1, 31))
    edits = [("line 3\n", "three\n"), ("line 9\n", ""), ("line 30\n", "line 30")]
    assert twin.diff(data, twin.plan(data, edits), "a.txt").split("\n") == [
        "--- a.txt",
        "+++ a.txt",
        "@@ -1,12 +1,11 @@",
        " line 1",
        " line 2",
        "-line 3",
        "+three",
        *(f" line {number}" for number in range(4, 9)),
        "-line 9",
        *(f" line {number}" for number in range(10, 13)),
        "@@ -27,4 +26,4 @@",
        *(f" line {number}" for number in range(27, 30)),
        "-line 30",
        "+line 30",
        "\\ No newline at end of file",
    ]


def test_the_diff_shows_line_ends_where_they_change(twin: ModuleType) -> None:
    data = b"a\r\nb\r\n"
    diff: str = twin.diff(data, twin.plan(data, [("a\r\n", "a\n")]), "a.txt")
    assert diff.split("\n")[2:] == ["@@ -1,2 +1,2 @@", "-a␍␊", "+a", " b"]


def test_the_diff_of_an_emptied_file_and_of_a_filled_line(twin: ModuleType) -> None:
    assert twin.diff(b"a\n", twin.plan(b"a\n", [("a\n", "")]), "f").split("\n")[2:] == ["@@ -1 +0,0 @@", "-a"]


def test_the_diff_cuts_long_lines_around_the_change(twin: ModuleType) -> None:
    data = b"x" * 100_000 + b"needle" + b"y" * 100_000
    diff: str = twin.diff(data, twin.plan(data, [("needle", "pin")]), "f")
    assert len(diff) < 2000
    assert "xxneedleyy" in diff and "xxpinyy" in diff
