"""Search: the lines a pattern matches, on tidy and hostile files, against `re` line by line as the oracle."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanocode.hot import search as reference
from nanocode.hot.lines import around

HOT = "search"


def found(twin: ModuleType, root: Path, pattern: str, **options: Any) -> dict[bytes, list[tuple[int, str]]]:
    """The matching lines of each file."""
    answer = twin.search(str(root), pattern, **options)
    assert answer.literal_fallback == ""
    return {each.path: [(line.number, line.text) for line in each.lines if line.is_match] for each in answer.files}


def numbers(twin: ModuleType, root: Path, data: bytes, pattern: str, **options: Any) -> list[int]:
    """The numbers of the lines of `data` that match."""
    path = root / "file"
    path.write_bytes(data)
    return [number for number, _ in found(twin, path, pattern, **options).get(b"", [])]


@pytest.mark.parametrize(
    ("pattern", "data", "expected"),
    [
        ("b", b"a\nb\nab\n", [2, 3]),
        ("b", b"a\nb", [2]),
        ("b$", b"b\r\nab\r\nbc\r\n", [1, 2]),
        ("b.", b"b\r\nb\n", []),
        ("b\\s", b"b\r\nb \r\n", [2]),
        ("b\\r", b"b\r\nb\rc\r\n", [2]),
        ("b$", b"b\r", []),
        ("b\\r$", b"b\r", [1]),
        ("^$", b"", []),
        ("^$", b"\n", [1]),
        ("^$", b"a\n\nb\n\n", [2, 4]),
        ("^$", b"a\r\n\r\nb\n", [2]),
        ("", b"a\nb\n", [1, 2]),
        ("x*", b"a\n\nb", [1, 2, 3]),
        ("^b", b"ab\nb\n", [2]),
        ("\\Ab\\z", b"b\nbb\nb\n", [1, 3]),
        ("\\A", b"\n\n", [1, 2]),
        ("(?-m)^b$", b"a\nb\nc", [2]),
        ("a[^x]b", b"a\nb\na-b\n", [3]),
        ("^a", b"\xef\xbb\xbfa\nb\n", [1]),
        ("a.b", b"a\xffb\na\xc3\xa9b\n", [2]),
        ("a[^z]b", b"a\xffb\na\xed\xa0\x80b\nazb\na-b\n", [4]),
        ("b", b"\xfe\xfdb\nc\xffb\n", [1, 2]),
        ("é", "é\nE\u0301\nÉ\n".encode(), [1]),
        ("é", "é\nE\u0301\nÉ\n".encode("latin-1", "ignore"), []),
        ("(?i)é", "é\nÉ\n".encode(), [1, 2]),
        ("(?i)kiss", "KISS\n\u212ai\u017f\u017f\nki\u00df\n".encode(), [1, 2]),
        ("(?i)straße", "STRASSE\nSTRA\u1e9eE\n".encode(), [2]),
        ("\\bäh\\b", "äh\näähh\nx-äh.\n".encode(), [1, 3]),
        ("\\w+$", "naïve\n…\n日本\n".encode(), [1, 3]),
        ("^\\d$", "1\n٣\nx\n".encode(), [1, 2]),
        ("^\\s$", "\u00a0\n\u2003\nx\n\u200b\n".encode(), [1, 2]),
        ("\\p{Greek}", "alpha\nλβδ\n".encode(), [2]),
        ("[[:alpha:]]{3}", b"ab1\nabc\n", [2]),
        ("interface{}", b"var x interface{}\ninterface\n", [1]),
        ("a{,2}b$", b"aab\nb\n", [1, 2]),
        ("(?<!x)foo", b"xfoo\nfoo\nyfoo\n", [2, 3]),
        ("(?<=^)foo", b"foo\n foo\n", [1]),
        ("foo(?!bar)", b"foobar\nfoo\nfoobarfoo\n", [2, 3]),
        ("^(?!.*foo)", b"foo\nbar\n", [2]),
        ("(\\w+) \\1\\b", b"the the\nthe then\na a\n", [1, 3]),
        ("(?i)(a)\\1", b"aA\nab\n", [1]),
        ("(?P<q>['\"]).*?(?P=q)", b"'a'\n'a\"\n", [1]),
        ("(?>a+)b", b"aab\n", [1]),
        ("a++a", b"aaa\n", []),
        ("(x)?(?(1)y|z)$", b"xy\nz\nx\n", [1, 2]),
        ("\\B", b"\na\nab\n", [1, 3]),
        ("(?x) a b ", b"ab\na b\n", [1]),
        ("a|", b"b\n", [1]),
        ("\\0", b"a\n", []),
    ],
)
def test_lines(twin: ModuleType, tmp_path: Path, pattern: str, data: bytes, expected: list[int]) -> None:
    assert numbers(twin, tmp_path, data, pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "data", "expected"),
    [
        ("a\\nb", b"a\nb\nc\na\r\nb\r\n", [1, 2, 4, 5]),
        ("a\\r\\nb", b"a\nb\r\n", [1, 2]),
        ("(?s)a.*c", b"x\na\nb\nc\nd\n", [2, 3, 4]),
        ("a[^z]b", b"a\nb\n", [1, 2]),
        ("b\\n", b"a\nb\nb", [2]),
        ("a$\\n^b", b"a\nb\n", [1, 2]),
        ("\\Aa|b\\z", b"a\na\nb", [1, 3]),
        ("x*", b"a\nb\n", [1, 2]),
        ("a\\s+b", b"a\n\n\nb a\nb", [1, 2, 3, 4, 5]),
        ("a.b", b"a\nb\n", []),
    ],
)
def test_a_match_may_span_lines(
    twin: ModuleType, tmp_path: Path, pattern: str, data: bytes, expected: list[int]
) -> None:
    assert numbers(twin, tmp_path, data, pattern, multiline=True) == expected


def test_a_newline_in_the_pattern_asks_for_several_lines(twin: ModuleType, tmp_path: Path) -> None:
    assert numbers(twin, tmp_path, b"a\nb\n", "a\\nb") == [1, 2]
    assert numbers(twin, tmp_path, b"a(\r\nb\n", "a(\nb", literal=True) == [1, 2]
    assert numbers(twin, tmp_path, b"a\nb\n", "[^\\n]b") == []


@pytest.mark.parametrize(
    ("pattern", "offset"),
    [("a(b", 1), ("a)b", 1), ("a[b", 1), ("*a", 0), ("a\\", 1), ("\\y", 0), ("a**", 2), ("a{9999}", 1), ("(?<n", 0)],
)
def test_what_does_not_parse_is_searched_as_plain_text(
    twin: ModuleType, tmp_path: Path, pattern: str, offset: int
) -> None:
    (tmp_path / "file").write_text(f"x{pattern}y\nab\n")
    answer = twin.search(str(tmp_path), pattern)
    assert f"at offset {offset}" in answer.literal_fallback
    assert [line.number for line in answer.files[0].lines] == [1]


def test_a_pattern_of_too_many_parts_is_plain_text(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("((a{1000}){1000}){1000}")
    answer = twin.search(str(tmp_path), "((a{1000}){1000}){1000}")
    assert answer.literal_fallback and answer.matches == 1


def test_files_come_in_path_order_with_their_lines(twin: ModuleType, tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.py", "a/b/c", "a.txt", ".hidden", "a-b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("no\nneedle one\nneedle\n")
    (tmp_path / "other").write_text("nothing\n")
    answer = twin.search(str(tmp_path), "needle")
    assert [each.path for each in answer.files] == [b"a/b/c", b"a/z.py", b"a-b", b"a.txt", b"b.txt"]
    assert answer.files[0].lines == (
        reference.Line(2, "needle one", True),
        reference.Line(3, "needle", True),
    )
    assert (answer.matches, answer.searched, answer.files[0].count, answer.files[0].note) == (10, 6, 2, "")
    assert not answer.limit_reached and not answer.stopped and answer.unreadable == ()


def test_the_tree_is_what_the_walk_says(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".ignore").write_text("*.log\nbuild/\n")
    for name in ("a.log", "a.py", "b.md", ".env", "build/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("needle")
    assert list(found(twin, tmp_path, "needle")) == [b"a.py", b"b.md"]
    assert list(found(twin, tmp_path, "needle", globs=["*.py"])) == [b"a.py"]
    assert list(found(twin, tmp_path, "needle", globs=["!*.py"])) == [b"b.md"]
    assert list(found(twin, tmp_path, "needle", hidden=True)) == [b".env", b"a.py", b"b.md"]
    assert list(found(twin, tmp_path, "needle", no_ignore=True)) == [b"a.log", b"a.py", b"b.md", b"build/x.py"]
    assert twin.search(str(tmp_path), "needle").ignored == 2


def test_a_file_named_as_root_is_searched_whatever_the_rules(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".ignore").write_text("*")
    (tmp_path / "file").write_text("needle")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        assert found(twin, tmp_path / name, "needle", globs=["*.py"]) == {b"": [(1, "needle")]}
    with pytest.raises(FileNotFoundError):
        twin.search(str(tmp_path / "missing"), "needle")


def test_an_unknown_mode_is_an_error_that_names_the_known_ones(twin: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`mode` is `x`; use one of `lines`, `files`, `count`"):
        twin.search(str(tmp_path), "a", mode="x")


@pytest.mark.parametrize("limit", [*range(1, 8), 1 << 80])
def test_a_limit_is_exact_and_said_only_when_there_is_more(twin: ModuleType, tmp_path: Path, limit: int) -> None:
    for name in "abc":
        (tmp_path / name).write_text("needle\nx\nneedle\n")
    answer = twin.search(str(tmp_path), "needle", limit=limit)
    places = [(each.path, line.number) for each in answer.files for line in each.lines]
    assert places == [(name, number) for name in (b"a", b"b", b"c") for number in (1, 3)][:limit]
    assert answer.matches == min(limit, 6) and answer.limit_reached is (limit < 6)
    for mode in ("files", "count"):
        answer = twin.search(str(tmp_path), "needle", limit=limit, mode=mode)
        assert [each.path for each in answer.files] == [b"a", b"b", b"c"][:limit]
        assert [each.count for each in answer.files] == [1 if mode == "files" else 2] * min(limit, 3)
        assert answer.limit_reached is (limit < 3) and all(each.lines == () for each in answer.files)


def test_context_is_shown_once_and_not_beyond_the_limit(twin: ModuleType, tmp_path: Path) -> None:
    lines = ["a", "hit", "b", "c", "hit", "d", "e", "f", "g", "hit"]
    (tmp_path / "file").write_text("\n".join(lines))

    def context(size: int, limit: int | None = None) -> str:
        [each] = twin.search(str(tmp_path), "hit", context=size, limit=limit).files
        return " ".join(f"{line.number}{':' if line.is_match else '-'}{line.text}" for line in each.lines)

    assert context(1) == "1-a 2:hit 3-b 4-c 5:hit 6-d 9-g 10:hit"
    assert context(2) == "1-a 2:hit 3-b 4-c 5:hit 6-d 7-e 8-f 9-g 10:hit"
    assert context(9, limit=1) == "1-a 2:hit 3-b 4-c"
    assert context(9, limit=3) == context(2)


def test_a_long_line_is_cut_around_its_match(twin: ModuleType, tmp_path: Path) -> None:
    line = "x" * 3000 + "näedle" + "y" * 3000
    (tmp_path / "file").write_text(f"{line}\n{'z' * 600}needle\nneedle{'z' * 494}\nneedle{'z' * 495}\n")
    [each] = twin.search(str(tmp_path), "n.{0,2}edle").files
    assert [line.text for line in each.lines] == [
        "…" + "x" * 100 + "näedle" + "y" * 394 + "…",
        "…" + "z" * 494 + "needle",
        "needle" + "z" * 494,
        "needle" + "z" * 494 + "…",
    ]


def test_a_long_line_is_cut_around_the_literal_that_begins_first(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x" * 600 + "return_qzj" + "y" * 600)
    [each] = twin.search(str(tmp_path), "turn|return_qzj").files
    assert [line.text for line in each.lines] == ["…" + "x" * 100 + "return_qzj" + "y" * 390 + "…"]


def test_bytes_that_are_no_text_are_shown_one_by_one(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xe4\xb8hit\xff\xfe\n")
    assert found(twin, tmp_path, "hit") == {b"file": [(1, "\ufffd\ufffdhit\ufffd\ufffd")]}


def test_binary_files_are_said_and_counted_once(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hit\nhit\n\0")
    (tmp_path / "b").write_bytes(b"none\0")
    (tmp_path / "c").write_bytes(b"hit\n")
    answer = twin.search(str(tmp_path), "hit")
    assert [(each.path, each.count, each.note) for each in answer.files] == [
        (b"a", 1, "binary file matches"),
        (b"c", 1, ""),
    ]
    assert (answer.binary, answer.matches, answer.files[0].lines) == (1, 2, ())
    answer = twin.search(str(tmp_path), "hit", limit=1)
    assert [each.path for each in answer.files] == [b"a"] and answer.limit_reached


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_known_by_its_mark(twin: ModuleType, tmp_path: Path, codec: str) -> None:
    (tmp_path / "file").write_bytes("\ufefföne\r\nneedle é\r\n".encode(codec))
    (tmp_path / "torn").write_bytes("\ufeffneedle é".encode(codec)[:-1])
    assert found(twin, tmp_path, "needle .$") == {b"file": [(2, "needle é")], b"torn": [(1, "needle \ufffd")]}


@pytest.mark.parametrize(
    ("pattern", "text", "count"),
    [
        ("(a+)+b", "a" * 300_000, 0),
        ("(a|aa)+$", "a" * 200_000 + "b", 0),
        ("\\S+\\s+\\S+$", "a" * 299_990 + " ", 0),
        ("\\S+\\s+\\S+$", "a" * 150_000 + " " + "b" * 150_000, 1),
        ("(x+x+)+y", "x" * 100_000, 0),
        ("a*a*a*a*a*b", "a" * 50_000 + "c", 0),
        (".*.*.*=.*", "é" * 20_000, 0),
        ("(a|b)*a(a|b){12}c", "ab" * 2_000, 0),
    ],
)
def test_hostile_patterns_take_linear_time(
    twin: ModuleType, tmp_path: Path, pattern: str, text: str, count: int
) -> None:
    (tmp_path / "file").write_text(text)
    assert twin.search(str(tmp_path), pattern).matches == count


def test_what_only_backtracking_decides_ends_at_a_deadline(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("ab\n" + "a" * 4_000 + "bc\nab\n")
    (tmp_path / "b").write_text("ab\n" + "a" * 4_000 + "cb\n")
    answer = twin.search(str(tmp_path), "(?<!x)(?:(?:a|aa)+)+b(?!c)")
    assert [(each.path, each.count) for each in answer.files] == [(b"a", 1), (b"b", 1)]
    assert answer.unreadable == ((b"a", "the pattern took too long in line 2"),)


def test_only_regular_files_are_opened(twin: ModuleType, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").write_text("hit")
    assert list(found(twin, tmp_path, "hit", no_ignore=True)) == [b"file"]
    for name in ("fifo", "zero"):
        assert twin.search(str(tmp_path / name), "hit").unreadable == ((b"", "not a regular file"),)


def test_a_file_with_a_false_size_is_not_read_for_ever(twin: ModuleType, tmp_path: Path) -> None:
    with open(tmp_path / "hollow", "wb") as file:
        file.truncate(1 << 42)
    assert twin.search(str(tmp_path), "hit").unreadable == ((b"hollow", "claims a size it does not hold"),)


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="no such file without an end here")
def test_a_file_without_a_size_is_not_read_for_ever(twin: ModuleType) -> None:
    answer = twin.search("/proc/self/pagemap", "no such words")
    assert (answer.matches, answer.searched, answer.stopped) == (0, 1, False)
    assert twin.search("/proc/self/status", "^Name:").matches == 1


def test_what_cannot_be_read_is_reported_and_the_rest_searched(twin: ModuleType, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "a").write_text("hit")
    (tmp_path / "b").write_text("hit")
    (tmp_path / "a").chmod(0)
    answer = twin.search(str(tmp_path), "hit")
    assert answer.unreadable == ((b"a", "permission denied"),)
    assert [each.path for each in answer.files] == [b"b"] and answer.searched == 1


@pytest.mark.skipif(os.name != "posix", reason="needs folders as descriptors")
@pytest.mark.parametrize("size", [0, 9 << 20])
def test_a_path_too_long_for_the_system_fails_no_search(twin: ModuleType, tmp_path: Path, size: int) -> None:
    # Only its folder's descriptor leads to the file, as when a folder above is renamed meanwhile.
    folder, length = os.open(tmp_path, os.O_RDONLY), len(os.fsencode(tmp_path))
    while length < 3900:
        name = "d" * min(200, 3999 - length)
        os.mkdir(name, dir_fd=folder)
        above, folder = folder, os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(above)
        length += len(name) + 1
    with open(os.open("f" * 200, os.O_CREAT | os.O_WRONLY, dir_fd=folder), "wb") as file:
        file.write(b"before\nneedle\n" + b"after\n" * (size // 6))
    os.close(folder)
    (tmp_path / "near").write_text("needle")
    answer = twin.search(str(tmp_path), "needle", context=1)
    assert answer.files[-1].path == b"near"
    assert len(answer.files) + len(answer.unreadable) == 2


def test_the_stop_byte_ends_it(twin: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hit")
    answer = twin.search(str(tmp_path), "hit", stop=bytearray(b"\1"))
    assert answer.stopped and answer.files == ()
    assert not twin.search(str(tmp_path), "hit", stop=bytearray(1)).stopped


def test_the_stop_byte_ends_the_reading_of_context() -> None:
    stop = bytearray(1)

    def blocks() -> Iterator[bytes]:
        while True:
            yield b"other\n"
            stop[0] = 1

    hits = [(1, "hit", True), (1 << 60, "hit", True)]
    assert around(blocks(), hits, 1, None, stop) == hits


def test_a_large_file_is_read_in_pieces(twin: ModuleType, tmp_path: Path) -> None:
    line = b"0123456789 filler of a long log file\n"
    lines = 500_000
    data = bytearray(line * lines)
    for number in (1, 2, 250_000, lines - 1, lines):
        data[(number - 1) * len(line) : (number - 1) * len(line) + 6] = b"needle"
    path = tmp_path / "log"
    path.write_bytes(data)
    for pattern in ("needle", "n[a-f]*le", "needl.\\d", "[m-n][^x]{2}dle"):
        assert [n for n, _ in found(twin, path, pattern)[b""]] == [1, 2, 250_000, lines - 1, lines]
    assert [n for n, _ in found(twin, path, "needle", limit=3)[b""]] == [1, 2, 250_000]
    around = twin.search(str(path), "needle", context=1).files[0].lines
    assert [each.number for each in around] == [1, 2, 3, 249_999, 250_000, 250_001, lines - 2, lines - 1, lines]
    assert twin.search(str(path), "\\w+ file$", mode="count").matches == lines


ALPHABET = st.sampled_from(["a", "b", "A", " ", "_", "-", "1", "é", "k", "K", "\u212a", "日", "\t", "\x85", "\0"])
TEXTS = st.lists(st.one_of(ALPHABET, ALPHABET, st.sampled_from(["\n", "\n", "\r\n", "\r"])), max_size=40).map("".join)
ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "k",
        "é",
        "日",
        ".",
        "[ab]",
        "[^a]",
        "[a-k]",
        "\\d",
        "ab",
        "1",
        "_",
        "\\ ",
        "^",
        "$",
        "[^é-日]",
        "(?i:k)",
    ]
)


def quantified(atom: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "*?", "+?"]).map(lambda q: f"(?:{atom}){q}")


PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.flatmap(quantified),
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda each: f"({each})"),
        inner.map(lambda each: f"(?={each})"),
        inner.map(lambda each: f"(?!{each})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(pattern=PATTERNS, text=TEXTS, ignore_case=st.booleans())
@example(pattern="a$", text="a\r\n", ignore_case=False)
@example(pattern="^", text="\n", ignore_case=False)
def test_the_lines_are_those_that_re_finds(twin: ModuleType, pattern: str, text: str, ignore_case: bool) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    oracle = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    # `$` of `re` also fits before a line end, of which its lines here have none.
    expected = [number for number, line in enumerate(lines, 1) if oracle.search(line)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").write_bytes(text.encode())
        answer = twin.search(folder, pattern, ignore_case=ignore_case)
    if "\0" in text:
        assert answer.matches == bool(expected)
    else:
        assert [line.number for each in answer.files for line in each.lines] == expected
