"""The pattern parser and the engines under it: what models write, and that all engines agree."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocode.hot import charset
from nanocode.hot.automaton import Automaton, Stopped, compiled
from nanocode.hot.literals import Literal, needles
from nanocode.hot.pattern import PatternError, parse, wants_lines
from nanocode.hot.query import LONGEST_TRIED, Query
from nanocode.hot.syntax import mirrored, regular, relaxed


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    return Query(pattern, ignore_case, False, False).in_line(text) >= 0


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"\x41\x{42}\u0043\u{44}\U00000045\105", "ABCDEE", "ABCDE"),
        (r"\N{GREEK SMALL LETTER LAMDA}", "λ", "a"),
        (r"^\pL\p{Lu}\p{Script=Greek}\P{Greek}$", "aBλb", "aBλλ"),
        (r"^\p{^Lu}\p{White_Space}$", "a ", "A "),
        (r"^[\p{Greek}\d]+$", "λ1", "a1"),
        (r"^[^\W\d]+$", "aé_", "a1"),
        (r"^[[:alpha:][:digit:]]+$", "a1", "é"),
        (r"^[[:^alpha:]]$", "1", "a"),
        (r"^[]a]+$", "]a", "["),
        (r"^[^]a]+$", "b[", "]"),
        (r"^[a\]-]+$", "a]-", "b"),
        (r"^[\w-]+$", "a-b", "a b"),
        (r"^[a-]$", "-", "b"),
        (r"^a{2}$", "aa", "a{2}"),
        (r"^a{2,}$", "aaa", "a"),
        (r"^a{,2}$", "", "aaa"),
        (r"^a{x}$", "a{x}", "a"),
        (r"^a{}$", "a{}", "a"),
        (r"^{}$", "{}", ""),
        (r"^\{\}\-\/\"\<\ $", '{}-/"< ', "x"),
        (r"^a(?#comment)b$", "ab", "a"),
        (r"^(?i:a)b$", "Ab", "AB"),
        (r"^(?i)a(?-i)b$", "Ab", "AB"),
        (r"^a(?i)b$", "aB", "AB"),
        (r"^(?i:[a-c]|x)$", "B", "d"),
        (r"^(?i:[^a])$", "b", "A"),
        (r"(?x) ^ a \  b [ ] $ # done", "a b ", "ab"),
        (r"^(?P<one>a)(?<two>b)\2(?P=one)\k<two>$", "abbab", "abbba"),
        (r"^(?a:\w)$", "a", "é"),
        (r"^a\h$", "a\t", "a\v"),
        (r"^\e\a\f\v\t$", "\x1b\x07\x0c\x0b\t", "x"),
        (r"^(a){3}$", "aaa", "aa"),
        (r"^(?:a+)+$", "aa", "b"),
        (r"^(|a)b$", "b", "c"),
    ],
)
def test_what_models_write(pattern: str, yes: str, no: str) -> None:
    query = Query(pattern, False, False, False)
    assert query.fallback == ""
    assert query.in_line(yes) == 0
    assert query.in_line(no) == -1


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a(b", "unclosed `(` at offset 1"),
        ("a)b", "unbalanced `)` at offset 1"),
        ("x[a", "unclosed `[` at offset 1"),
        ("[z-a]", "a range that ends before it starts at offset 1"),
        ("[[:foo:]]", "unknown class `[:foo:]` at offset 1"),
        ("+", "nothing to repeat at offset 0"),
        ("a|*", "nothing to repeat at offset 2"),
        ("a**", "multiple repeat at offset 2"),
        ("a{3,2}", "fewer repeats at most than at least at offset 1"),
        ("a{6000}", "more than 5000 repeats at offset 1"),
        ("a\\", "a backslash at the end at offset 1"),
        (r"\y", r"unknown escape `\y` at offset 0"),
        (r"a\2(b)", "no group `2` before its use at offset 1"),
        (r"\p{Klingon}", "unknown property `Klingon` at offset 0"),
        (r"\x{110000}", "no such character at offset 0"),
        (r"\N{no such name}", "no character `no such name` at offset 0"),
        ("(?<n>a)(?<n>b)", "a second group `n` at offset 7"),
        ("a(?;b)", "unknown extension `(?` at offset 1"),
        ("(" * 101 + ")" * 101, "nested too deep at offset 100"),
        ("(?(1)a)", "no group `1` before its use at offset 0"),
        ("()(?(1)a|b|c)", "a condition with more than two branches at offset 2"),
        ("a(?#b", "unclosed comment at offset 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(pattern: str, words: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse(pattern)
    assert str(caught.value) == words


@pytest.mark.parametrize("pattern", ["(){5000}" * 3, "(((((){5000}){5000}){5000}){5000})", "((((a{4}){4}){4}){4})b"])
def test_nested_repeats_are_no_work_without_end(pattern: str) -> None:
    assert Query(pattern, False, False, False).fallback == ""


def test_groups_that_refer_to_groups_are_no_work_without_end() -> None:
    pattern = "()" + "".join(rf"(\{number}\{number})" for number in range(1, 60))
    assert Query(pattern, False, False, False).in_line("") == 0


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("a\\nb", True), ("a\nb", True), ("[^\\n]", False), ("a\\\\nb", False), ("[]\\n]", False), ("(a|\\n)", True)],
)
def test_a_newline_outside_of_sets_asks_for_lines(pattern: str, expected: bool) -> None:
    assert wants_lines(pattern) is expected


@pytest.mark.parametrize(
    ("pattern", "required", "whole"),
    [
        ("abc", {"abc"}, True),
        ("abc|de", {"abc", "de"}, True),
        ("^abc", {"abc"}, False),
        ("ab[cd]e", {"abce", "abde"}, True),
        ("[A-Z]+_RESUME", {"_RESUME"}, False),
        ("a*b", {"b"}, False),
        ("(foo)+ba", {"foo"}, False),
        ("(abc){2}", {"abcabc"}, True),
        ("(?!x)abc", {"abc"}, False),
        (r"(abc)\1", {"abc"}, False),
        ("a?", set(), False),
        (r"\w+", set(), False),
        ("abc|d?", set(), False),
        ("é", {"é"}, True),
    ],
)
def test_needles_are_in_every_match(pattern: str, required: set[str], whole: bool) -> None:
    found = needles(parse(pattern))
    assert {each.text.decode() for each in found.required} == required
    assert found.whole is whole


def test_needles_that_ignore_case_leave_out_letters_with_partners_beyond_ascii() -> None:
    assert needles(parse("pm_resume", ignore_case=True)).required == (Literal(b"pm_re", True),)
    assert needles(parse("a1b", ignore_case=True)) == ((Literal(b"a1b", True),), False)


def test_classes_are_those_of_re_in_ascii() -> None:
    text = "".join(map(chr, range(128)))
    for name in ("\\w", "\\d", "[[:alnum:]]", "[[:punct:]]", "."):
        own = {char for char in text if matches(f"^{name}$", char)}
        plain = {"[[:alnum:]]": "[0-9A-Za-z]", "[[:punct:]]": r"[!-/:-@\[-`{-~]"}.get(name, name)
        assert own == {char for char in text if re.match(plain, char)}


def test_sets_are_arithmetic_on_ranges() -> None:
    assert charset.union([(5, 7), (1, 2), (3, 4), (9, 9)]) == ((1, 7), (9, 9))
    assert charset.difference(((0, 10),), ((0, 1), (4, 5), (10, 12))) == ((2, 3), (6, 9))
    assert charset.complement(charset.complement(charset.word())) == charset.word()
    assert not any(charset.contains(charset.SCALARS, code) for code in (0xD800, 0xDFFF))
    assert charset.fold(((ord("\u03c3"), ord("\u03c3")),)) == ((931, 931), (962, 963))


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "é",
        "k",
        "_",
        ".",
        "[ab]",
        "[^b]",
        "\\w",
        "\\W",
        "\\s",
        "^",
        "$",
        "\\b",
        "\\B",
        "(?i:k)",
        "ab|b",
        "a{2}",
    ]
)
TREES = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join).map(lambda each: f"({each})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}", "*?"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(pattern=TREES, line=st.text("abékK\u212a_ -日\udc80", max_size=12))
def test_the_engines_agree_where_the_leftmost_match_starts(pattern: str, line: str) -> None:
    query = Query(pattern, False, False, False)
    node = parse(pattern)
    assert regular(node)
    forward, backward = Automaton(compiled(node)), Automaton(compiled(mirrored(node)))
    found = query._full.search(line)
    assert forward.found(line) is (found is not None)
    if found:
        assert len(line) - backward.last_end(line[::-1]) == found.start() == query.in_line(line)
        assert not query.needles.required or any(
            each.text in line.encode("utf-8", "surrogateescape").lower()
            if each.folded
            else each.text in line.encode("utf-8", "surrogateescape")
            for each in query.needles.required
        )


@settings(max_examples=100)
@given(
    pattern=st.tuples(TREES, st.sampled_from(["(?={})", "(?!{})", "(?<!b)({})", "({})\\1", "(?>{})", "(?i)({})\\1"])),
    line=st.text("abkK_ é", max_size=10),
)
def test_a_relaxed_tree_matches_wherever_the_pattern_does(pattern: tuple[str, str], line: str) -> None:
    inner, frame = pattern
    query = Query("a?" + frame.format(f"(?:{inner})"), False, False, False)
    if query.in_line(line) >= 0:
        assert Automaton(query.program).found(line)
        assert relaxed(query.node) == relaxed(relaxed(query.node))


def test_a_stop_byte_ends_it_within_a_line() -> None:
    with pytest.raises(Stopped):
        Query(r"\S+\s+\S+$", False, False, False).in_line("a" * 3000, bytearray(b"\1"))


def test_what_is_not_regular_is_not_tried_on_a_line_without_end() -> None:
    query = Query(r"(?<!b)\S+\s+\S+$", False, False, False)
    assert query.in_line("a" * (LONGEST_TRIED + 1)) == -1
    with pytest.raises(TimeoutError):
        query.in_line("a" * LONGEST_TRIED + " a")
    assert query.in_line("a" * 1000 + " a") == 0
