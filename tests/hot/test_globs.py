"""Glob patterns mean what the contract says: a table, and an oracle that tries every way to read a pattern."""

from types import ModuleType

import pytest
from hot import glob_oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

HOT = "globs"

# A pattern, paths it takes, and paths it does not.
TABLE: dict[str, tuple[str, str, str]] = {
    "a name at any depth": ("a.py", "a.py x/a.py x/y/a.py", "ba.py a.pyc a.py/b"),
    "a star stays in its name": ("*.py", "a.py x/a.py .py", "a.py/x a.pyc"),
    "a star alone": ("*", "a .a x/a", ""),
    "a slash asks for the whole path": ("x/*.py", "x/a.py", "a.py y/x/a.py x/y/a.py"),
    "a leading slash anchors": ("/a", "a", "x/a"),
    "a leading dot and slash anchor": ("./a", "a", "x/a"),
    "double star spans folders": ("x/**", "x/a x/a/b", "x y/x/a"),
    "inner double star spans none too": ("a/**/b", "a/b a/x/b a/x/y/b", "ab xa/b a/xb"),
    "leading double star": ("**/b/c", "b/c x/b/c x/y/b/c", "xb/c c"),
    "leading double star and a name": ("**/b", "b x/b x/y/b", "xb"),
    "double star within a name crosses too": ("a**b", "ab axb", "a/xc"),
    "double star after a letter takes a folder's end": ("a**/b", "a/b ax/b a/x/b", "ab"),
    "double stars side by side": ("**/**/a", "a x/a x/y/a", "xa"),
    "many stars are two": ("a/****/b", "a/b a/x/y/b", "ab"),
    "question mark is one character": ("?", "a é x/b", "ab"),
    "braces are alternatives": ("*.{ts,tsx}", "a.ts x/b.tsx", "a.t a.{ts,tsx}"),
    "nested braces": ("{a,b{c,d}}.x", "a.x bc.x bd.x", "b.x abc.x"),
    "an empty alternative": ("a{,.bak}", "a a.bak", "a. a,"),
    "one alternative is itself": ("{a}", "a", "{a}"),
    "empty braces are literal": ("a{}", "a{}", "a"),
    "braces across folders": ("{src,lib/x}/*.c", "src/a.c lib/x/a.c", "lib/a.c x/src/a.c"),
    "double star in braces": ("{a/**,b}/c", "a/x/c b/c", "a/c c"),
    "a slash in braces starts a name": ("{a/,}**/b", "a/b b x/b a/x/b", "ab"),
    "an open brace is literal": ("{a,b", "{a,b", "a b"),
    "a lone closing brace and a comma are literal": ("a},b", "a},b", "a b"),
    "classes": ("[ab][!ab][^c]", "aca bdd", "aba acc"),
    "ranges": ("[a-c][a-][-z]", "aa- b-z", "dab abb"),
    "a bracket first in a class": ("[]a][!]]", "]a aa", "]] a]"),
    "an escape in a class": ("[\\]\\-x]", "] - x", "\\ a"),
    "posix classes": ("[[:digit:][:upper:]][![:alpha:]]", "11 A-", "a1 1a"),
    "an unknown posix class is a plain one": ("[[:foo:]]", "[] :] f] o]", "[[:foo:]] f"),
    "an open class is literal": ("[a", "[a", "a"),
    "a class takes no slash": ("a[/]b", "", "a/b ab"),
    "nothing in a class is special": ("[*?{,}]", "* ? { , }", "a"),
    "a backslash takes the next literally": ("\\*\\{a,b\\}\\a", "*{a,b}a", "x{a,b}a *aa"),
    "a backslash at the end is itself": ("a\\", "a\\", "a"),
    "an escaped slash is a slash": ("a\\/b", "a/b", "x/a/b"),
    "case counts": ("A", "A", "a"),
    "a slash at the end is for the caller": ("a/", "a x/a", "a/b"),
    "nothing but slashes and dots": ("./", "", "a"),
    "the empty pattern": ("", "", "a"),
}


@pytest.mark.parametrize("title", TABLE)
def test_the_table_holds_and_the_oracle_agrees(twin: ModuleType, title: str) -> None:
    pattern, yes, no = TABLE[title]
    glob = twin.Glob(pattern)
    taken = {path for path in (*yes.split(), *no.split()) if glob.matches(path.encode())}
    assert taken == set(yes.split())
    assert {path for path in (*yes.split(), *no.split()) if glob_oracle.matches(pattern, path.encode())} == taken


@settings(max_examples=600)
@given(pattern=glob_oracle.PATTERNS, paths=st.lists(glob_oracle.PATHS, min_size=1, max_size=6), anchored=st.booleans())
@example(pattern="{**,a}/b", paths=[b"b", b"x/b"], anchored=False)
@example(pattern="a\\\\/", paths=[b"a\\"], anchored=False)
@example(pattern="**/[!a", paths=[b"[!a"], anchored=True)
def test_any_pattern_means_what_the_oracle_says(
    twin: ModuleType, pattern: str, paths: list[bytes], anchored: bool
) -> None:
    glob = twin.Glob(pattern, anchored=anchored)
    assert glob.folders_only is glob_oracle.folders_only(pattern)
    for path in paths:
        assert glob.matches(path) is glob_oracle.matches(pattern, path, anchored=anchored), path


@settings(max_examples=200)
@given(pattern=st.text(max_size=12), path=st.binary(min_size=1, max_size=8).filter(lambda path: path.strip(b"/")))
def test_any_text_is_a_pattern_for_any_bytes(twin: ModuleType, pattern: str, path: bytes) -> None:
    path = path.strip(b"/")
    assert twin.Glob(pattern).matches(path) is glob_oracle.matches(pattern, path)


@pytest.mark.parametrize("name", [b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_bytes_that_are_no_utf8_are_a_character_each(twin: ModuleType, name: bytes) -> None:
    assert twin.Glob("?" * len(name)).matches(name)
    assert not twin.Glob("?" * (len(name) + 1)).matches(name)
    assert twin.Glob("*" + name.decode("utf-8", "surrogateescape")).matches(b"a" + name)


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 60 + "*b",
        "**/a/" * 60 + "b",
        "{a,aa}" * 40 + "b",
        "{" * 500 + "a" + ",}" * 500 + "b",
        "{*a,*a}" * 30 + "b",
    ],
)
def test_no_pattern_is_exponential(twin: ModuleType, pattern: str) -> None:
    glob = twin.Glob(pattern)
    assert not glob.matches(b"a" * 200)
    assert not glob.matches(b"a/" * 100 + b"c")


def test_more_states_than_are_kept_change_no_answer(twin: ModuleType) -> None:
    # The 11th character from the end decides, which takes 2,048 states without branches.
    glob = twin.Glob("*a" + "?" * 10)
    for number in range(3000):
        name = bin(number)[2:].replace("0", "a").replace("1", "b").rjust(14, "b")
        assert glob.matches(name.encode()) is (name[-11] == "a")


def test_the_one_name_that_matches_is_told(twin: ModuleType) -> None:
    asked = {"a.py": b"a.py", "**/a": b"a", "*.py": None, "{a,b}": None, "x/a": None, "a\\*": None, "é": "é".encode()}
    assert {pattern: twin.Glob(pattern).literal for pattern in asked} == asked


def test_a_pattern_keeps_its_text_and_says_whether_it_asks_for_the_path(twin: ModuleType) -> None:
    assert [twin.Glob(pattern).anchored for pattern in ("a", "a/", "**/a", "x/a", "/a", "./a", "[/]", "a**")] == [
        False,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert twin.Glob("a", anchored=True).anchored
    assert twin.Glob("x/{a").pattern == "x/{a"
