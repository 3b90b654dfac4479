"""Ignore rules answer as git does; git itself is asked wherever it has an answer."""

import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
from hot import git_oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

HOT = "ignore"
pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the names in these trees do not exist there"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle"),
]

# Lines of one file of rules, what they ignore, and what they do not.
EXAMPLES: dict[str, tuple[bytes, bytes, bytes]] = {
    "a name at any depth": (b"a", b"a x/a a/x", b"ab x/ba"),
    "the last line wins": (b"*.c\n!a.c\n/x/a.c", b"b.c x/a.c", b"a.c y/a.c"),
    "nothing under an excluded folder returns": (b"x\n!x/a\n!/x/a", b"x x/a x/b", b"a"),
    "a file returns when only the content was excluded": (b"x/*\n!x/a", b"x/b", b"x x/a"),
    "a slash within anchors": (b"x/a", b"x/a x/a/b", b"y/x/a a"),
    "a slash at the start anchors": (b"/a", b"a a/b", b"x/a"),
    "a slash at the end asks for a folder": (b"a/", b"a/b", b"a x/a"),
    "two slashes match nothing": (b"//a\nx//a\na//", b"", b"a x/a a/x"),
    "a star stays in its name": (b"/x/*a", b"x/a x/ba", b"x/b/a"),
    "stars in a row are one star within a name": (b"x/a**b", b"x/ab x/acb", b"x/a/b"),
    "leading double star": (b"**/a/b", b"a/b x/a/b x/y/a/b", b"a xa/b"),
    "trailing double star": (b"a/**", b"a/b a/b/c", b"a x/a/b"),
    "inner double star": (b"a/**/b", b"a/b a/x/b a/x/y/b", b"ab a/xb"),
    "double stars side by side": (b"a/**/**/b\n**/**/c", b"a/b a/x/b c x/c", b"a/xb xc"),
    "three stars count as two": (b"a/***/b", b"a/b a/x/y/b", b"ab"),
    "double star before an escaped slash takes at least one folder": (b"a/**\\/b", b"a/x/b a/x/y/b", b"a/b"),
    "question mark is one byte": (b"?\n/xx/??", b"a xx/\xc3\xa9 xx/b \xff", b"ab \xc3\xa9 xx/abc"),
    "classes": (b"[ab]c\n[!a-c]d\n[^x]e", b"ac bc dd ae", b"cc ad xe"),
    "a bracket first in a class is a member": (b"[]a]\n[!]]x", b"] a ax", b"]x b"),
    "ranges at odd places": (b"[a-]x\n[-a]y\n[a-c-e]z\n[z-a]w", b"ax -x -y az -z ez zw", b"bx dz aw"),
    "escapes in classes": (b"[\\]]x\n[\\a-c]y\n[a-\\c]z", b"]x by bz", b"\\x dy"),
    "posix classes": (b"[[:alpha:]]1\n[[:digit:][:upper:]]2", b"a1 22 A2", b"11 a2"),
    "posix classes are ascii": (b"[[:alpha:]][[:alpha:]]\n[![:print:]]x", b"ab \xffx", b"\xc3\xa9 1x"),
    "an unknown posix class matches nothing": (b"[[:foo:]]\n[[::]]", b"", b"f : ["),
    "half a posix class is a plain one": (b"[[:alpha]x\n[[:]y", b"[x :x ax [y :y", b"bx"),
    "an open class matches nothing": (b"[a\nb[\n[]\n[!]\n[a-\n[\\", b"", b"[a a b[ []"),
    "a class takes no slash": (b"x[/]a\ny[!z]a", b"yxa", b"x/a y/a"),
    "a slash in a class anchors": (b"[a/b]c", b"ac bc", b"x/ac"),
    "escaped specials": (b"\\*\n\\?x\n\\[a]\n\\\\", b"* ?x [a] \\", b"a ax"),
    "escaped ordinary": (b"\\a\\b", b"ab", b"\\a\\b"),
    "a backslash at the end matches nothing": (b"a\\\nb\\/", b"", b"a a\\ b b\\"),
    "escaped hash and exclamation mark": (b"\\#a\n\\!b", b"#a !b", b"a b"),
    "comments only at the start": (b"#a\n #b\na#", b"a#", b"#a #b a"),
    "braces are literal": (b"{a,b}", b"{a,b}", b"a b"),
    "case counts": (b"A", b"A", b"a"),
    "a lone exclamation mark": (b"a\n!\n!/", b"a", b"!"),
    "bytes that are not UTF-8": (b"\xff*\n[\xc0-\xfe]", b"\xffa \xc1", b"\xfea a"),
}
# The same with names that hold blanks.
BLANKS: dict[str, tuple[bytes, list[bytes], list[bytes]]] = {
    "trailing blanks go": (b"a  \nb \t", [b"a", b"b \t"], [b"a  ", b"b"]),
    "an escaped blank stays": (b"a\\ \nb\\  ", [b"a ", b"b "], [b"a", b"b", b"b  "]),
    "a blank after an escaped backslash goes": (b"a\\\\ ", [b"a\\"], [b"a\\ "]),
    "leading blanks stay": (b" a", [b" a"], [b"a"]),
    "a folder's slash before blanks": (b"a/  ", [b"a/b"], [b"a"]),
    "CR LF": (b"a\r\nb\r\r\nc \r\nd\r", [b"a", b"b\r", b"c", b"d"], [b"b", b"a\r"]),
    "a byte order mark only at the start of the file": (
        b"\xef\xbb\xbfa\n\xef\xbb\xbfb",
        [b"a", b"\xef\xbb\xbfb"],
        [b"b"],
    ),
    "a comment after a byte order mark": (b"\xef\xbb\xbf#a", [], [b"a", b"#a"]),
    "NUL ends a line": (b"a\0b\n", [b"a"], [b"b"]),
    "newlines in names": (b"a?b\n[[:space:]]", [b"a\nb", b"\n", b"\t"], [b"\v", b"\f"]),
}
ALL = {title: (rules, yes.split(b" "), no.split(b" ")) for title, (rules, yes, no) in EXAMPLES.items()} | BLANKS


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return git_oracle.repository(tmp_path)


@pytest.mark.parametrize("title", ALL)
def test_rules_answer_as_the_table_says_and_git_does(twin: ModuleType, top: Path, title: str) -> None:
    rules, yes, no = ALL[title]
    paths = {*yes, *no} - {b""}
    (top / ".gitignore").write_bytes(rules)
    assert {path for path in paths if twin.ignored(top, path)} == set(yes) - {b""}
    assert git_oracle.ignored(top, paths) == set(yes) - {b""}


def test_every_byte_is_in_the_posix_classes_it_is_in_for_git(twin: ModuleType, top: Path) -> None:
    names = [
        "alnum",
        "alpha",
        "blank",
        "cntrl",
        "digit",
        "graph",
        "lower",
        "print",
        "punct",
        "space",
        "upper",
        "xdigit",
    ]
    (top / ".gitignore").write_text("".join(f"/{name}/[[:{name}:]]\n" for name in names))
    paths = {b"%b/%b" % (name.encode(), bytes([byte])) for name in names for byte in range(1, 256) if byte not in b"./"}
    assert {path for path in paths if twin.ignored(top, path)} == git_oracle.ignored(top, paths)


def test_no_pattern_is_exponential(twin: ModuleType, top: Path) -> None:
    # git 2.39 does not come back from the first of these, so it is not asked.
    (top / ".gitignore").write_bytes(b"*a" * 40 + b"*b\n" + b"**/a/" * 40 + b"b\n" + b"x/" + b"**/*a/" * 30 + b"b")
    assert twin.ignored(top, b"a" * 60 + b"b")
    for path in (b"a" * 200, b"a/" * 99 + b"c", b"x/" + b"a/" * 90 + b"c"):
        assert not twin.ignored(top, path)


def test_double_stars_next_to_a_name_stay_in_it(twin: ModuleType, top: Path) -> None:
    # As documented in gitignore(5) and as git answers since 2.52.
    (top / ".gitignore").write_bytes(b"foo**/bar")
    assert [twin.ignored(top, path) for path in (b"foobar", b"foo/bar", b"foox/bar", b"foo/x/bar")] == [
        False,
        True,
        True,
        False,
    ]


@settings(max_examples=60)
@given(
    folders=git_oracle.FOLDERS,
    paths=git_oracle.PATHS,
    rules=git_oracle.RULES,
    deeper=git_oracle.RULES,
    private=st.one_of(st.just(b""), git_oracle.RULES),
    general=st.one_of(st.just(b""), git_oracle.RULES),
)
@example(folders=[b"a"], paths=[b"a/b"], rules=b"*", deeper=b"!b", private=b"!a", general=b"!b")
def test_any_path_is_ignored_when_git_ignores_it(
    twin: ModuleType,
    folders: list[bytes],
    paths: list[bytes],
    rules: bytes,
    deeper: bytes,
    private: bytes,
    general: bytes,
) -> None:
    with tempfile.TemporaryDirectory() as place:
        top = git_oracle.repository(Path(place, "top"))
        excludes = Path(place, "excludes")
        excludes.write_bytes(general)
        Path(top, ".git/info/exclude").write_bytes(private)
        git_oracle.plant(
            top, folders, paths[::2], {b".gitignore": rules, **{f + b"/.gitignore": deeper for f in folders}}
        )
        asked = {*paths, *folders}
        folder = {path: os.path.isdir(os.fsencode(top) + b"/" + path) for path in asked}
        ours = {path for path in asked if twin.ignored(top, path, folder=folder[path], excludes=str(excludes))}
        assert ours == git_oracle.ignored(top, asked, excludes)
