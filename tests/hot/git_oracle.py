"""Git's own answers about small trees, and trees worth asking about; knows nothing of nanocode."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from hypothesis import strategies as st

# git before 2.52 takes `**` after a literal start for a whole name (its "match_pathname(): give fnmatch one char of
# prefix context"): the generated rules stay away from what versions of git answer differently.
DISPUTED = re.compile(rb"[^/*]\*\*+(/|\\/|$)")


def repository(top: Path) -> Path:
    """Make `top` a repository, as `git init` would with no template."""
    for folder in ("objects", "refs", "info"):
        (top / ".git" / folder).mkdir(parents=True)
    (top / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (top / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
    return top


def untracked(top: Path, excludes: Path | None = None) -> set[bytes]:
    """Files and links that git does not ignore; of a nested repository only its folder, with a slash at the end."""
    return set(_git(top, excludes, "ls-files", "-coz", "--exclude-standard").split(b"\0")[:-1])


def ignored(top: Path, paths: Iterable[bytes], excludes: Path | None = None) -> set[bytes]:
    """Those of `paths` that git ignores."""
    asked = list(paths)
    told = b"\0".join(b"./" + path for path in asked)
    answer = _git(top, excludes, "check-ignore", "-z", "-v", "-n", "--no-index", "--stdin", told=told).split(b"\0")
    patterns = answer[2::4]
    assert len(patterns) == len(asked)
    return {path for path, rule in zip(asked, patterns, strict=True) if rule and not rule.startswith(b"!")}


def _git(top: Path, excludes: Path | None, *words: str, told: bytes = b"") -> bytes:
    settings = ["-c", f"core.excludesFile={excludes}"] if excludes else []
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(top), "PATH": os.environ["PATH"]}
    done = subprocess.run(["git", *settings, *words], cwd=top, env=alone, input=told, capture_output=True, check=False)
    # check-ignore exits with 1 when it ignores nothing.
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


NAMES = st.sampled_from(
    [
        *rb"a b c ab aa abc a.b foo !a #a * [a] a] \ a\b - {a,b} .a ? A 1 :".split(),
        *[b"a b", b"a ", b" ", b"\xc3\xa9", b"\xff", b"a\xff", b"a\t", b"a\r", b"a\nb"],
    ]
)
_ATOMS = st.sampled_from(
    rb"a b ab foo . * * ** ? [ab] [!a] [^a] [a-c] []a] [[:alpha:]] [[:space:][:digit:]] [a [\]]".split()
    + rb"[[:foo:]] [[:alpha] [[:] [[::]] [a/b] [/] [!-~] [\a-c] [z-a] [a-] [a-c-e] [!] [a-\c]".split()
    + rb"\* \? \a \\ \! \# {a,b} \ ! # - ] \/".split()
    + [b"[\xa0-\xff]", b"\xff", b"\xc3\xa9", b"\xa9", b"\t", b"\r", b"\0", b"\\ ", b" "]
)
_SEGMENTS = st.one_of(NAMES, st.sampled_from([b"*", b"**"]), st.lists(_ATOMS, min_size=1, max_size=4).map(b"".join))
_TAILS = st.sampled_from([b""] * 9 + [b" ", b"  ", b"\\ ", b"\\  ", b"\\", b"\\\\ ", b"\t", b"\r", b"/ ", b"//"])


def _pattern(parts: list[bytes], start: bytes, end: bytes, tail: bytes) -> bytes:
    return start + b"/".join(parts) + end + tail


PATTERNS = st.builds(
    _pattern,
    st.lists(_SEGMENTS, min_size=1, max_size=3),
    st.sampled_from([b"", b"", b"", b"/", b"!", b"!/", b"\\", b"#"]),
    st.sampled_from([b"", b"", b"/"]),
    _TAILS,
).filter(lambda pattern: not any(DISPUTED.search(line.rstrip(b" \r")) for line in pattern.split(b"\n")))
RULES = st.builds(
    lambda bom, lines, end: bom + end.join(lines),
    st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"]),
    st.lists(PATTERNS, min_size=1, max_size=6),
    st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n"]),
)
FOLDERS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), max_size=5)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map(b"/".join), min_size=1, max_size=20)


def plant(top: Path, folders: Iterable[bytes], files: Iterable[bytes], rules: Mapping[bytes, bytes]) -> None:
    """Make what of `folders` and `files` fits together, and the files of `rules` in the folders there are."""
    base = os.fsencode(top) + b"/"
    for path in folders:
        try:
            os.makedirs(base + path, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            continue
    for path in files:
        if os.path.isdir(os.path.dirname(base + path)) and not os.path.lexists(base + path):
            Path(os.fsdecode(base + path)).touch()
    for path, data in rules.items():
        if os.path.isdir(os.path.dirname(base + path)):
            Path(os.fsdecode(base + path)).write_bytes(data)
