"""A walk lists what git lists, and what a naive walk lists where git has no say."""

import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hot import git_oracle, glob_oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanocode.hot.ignore import ignored as ignored_by_rules

HOT = "walk"
pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the names in these trees do not exist there"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is the oracle"),
]
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
NAMES = st.sampled_from([b"a", b"b", b"ab", b"a.b", b"a-", b".a", b".ab", b"\xff", b"\xc3\xa9", b"a\n"])
RULES = st.lists(
    st.sampled_from(b"a b ab *.b .* * !a !b/ /a a/ /a/b **/b a/** ?b [!a] !.a \xff".split()), max_size=4
).map(b"\n".join)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map(b"/".join),
    st.sampled_from(["file", "file", "file", "dir", "link", "repository"]),
    max_size=16,
)
WANTED = r"a *.b a/** **/b {a,b} !a !*.b !a/b **/ab/* a/ !a/ .* /b * ?"
GLOBS = st.lists(st.sampled_from(WANTED.split()), min_size=0, max_size=3)


def plant(top: Path, tree: dict[bytes, str], rules: dict[bytes, bytes]) -> None:
    """Make what of `tree` fits together, and the files of `rules` in the folders there are."""
    base = os.fsencode(top) + b"/"
    folders = [path if kind in ("dir", "repository") else os.path.dirname(path) for path, kind in tree.items()]
    leaves = [path for path, kind in tree.items() if kind == "file"]
    git_oracle.plant(top, filter(None, folders), leaves, rules)
    for path, kind in tree.items():
        if kind == "link" and os.path.isdir(os.path.dirname(base + path)) and not os.path.lexists(base + path):
            os.symlink(b"..", base + path)
        elif kind == "repository" and os.path.isdir(base + path) and not os.path.lexists(base + path + b"/.git"):
            git_oracle.repository(Path(os.fsdecode(base + path)))


def naive(
    top: Path,
    *,
    globs: list[str] = [],  # noqa: B006
    hidden: bool = False,
    no_ignore: bool = False,
    max_depth: int | None = None,
    kinds: tuple[str, ...] = ("file", "dir", "link", "other"),
    excludes: str | None = None,
) -> tuple[list[tuple[bytes, str]], int]:
    """What a walk should find, and how much it should ignore, each path judged by itself."""
    base = os.fsencode(top) + b"/"
    found: list[tuple[bytes, str]] = []
    ignored = 0
    waiting = [(name, 1) for name in sorted(os.listdir(base), reverse=True)]
    while waiting:
        path, depth = waiting.pop()
        name = path.rpartition(b"/")[2]
        kind = KINDS.get(stat.S_IFMT(os.lstat(base + path).st_mode), "other")
        if (max_depth is not None and depth > max_depth) or name == b".git" or (name[:1] == b"." and not hidden):
            continue
        if not no_ignore and ignored_by_rules(top, path, folder=kind == "dir", excludes=excludes):
            ignored += 1
            continue
        verdict = passes(globs, path, kind == "dir")
        if verdict and kind in kinds:
            found.append((path, kind))
        if kind == "dir" and verdict is not False:
            below = sorted(os.listdir(base + path), reverse=True)
            waiting += [(path + b"/" + name, depth + 1) for name in below]
    return found, ignored


def passes(globs: list[str], path: bytes, folder: bool) -> bool | None:
    for glob in reversed(globs):
        pattern = glob.removeprefix("!")
        if (folder or not glob_oracle.folders_only(pattern)) and glob_oracle.matches(pattern, path):
            return glob[0] != "!"
    return None if any(glob[0] != "!" for glob in globs) else True


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return git_oracle.repository(tmp_path / "top")


@pytest.fixture
def refused() -> Iterator[Path]:
    """A folder of this process's own where permissions count, also when root runs the tests."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        if os.geteuid():
            yield Path(place)
            return
        os.seteuid(65534)
        try:
            yield Path(place)
        finally:
            os.seteuid(0)


def names(walk: Any) -> list[bytes]:
    return [entry.path for entry in walk.entries]


@settings(max_examples=50)
@given(
    folders=git_oracle.FOLDERS,
    paths=git_oracle.PATHS,
    rules=git_oracle.RULES,
    deeper=git_oracle.RULES,
    private=st.one_of(st.just(b""), git_oracle.RULES),
    general=st.one_of(st.just(b""), git_oracle.RULES),
)
def test_it_lists_what_git_lists(
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
        told = {b".gitignore": rules, **{folder + b"/.gitignore": deeper for folder in folders}}
        git_oracle.plant(top, folders, paths, told)
        found = twin.walk(str(top), hidden=True, kinds="leaves", excludes=str(excludes))
        assert set(names(found)) == git_oracle.untracked(top, excludes)


@settings(max_examples=150)
@given(
    tree=TREES,
    rules=st.dictionaries(st.sampled_from([b".gitignore", b".ignore", b".nanocodeignore"]), RULES),
    deeper=st.dictionaries(st.sampled_from([b"a/.gitignore", b"a/.ignore", b"a/b/.nanocodeignore"]), RULES),
    globs=GLOBS,
    hidden=st.booleans(),
    no_ignore=st.booleans(),
    max_depth=st.one_of(st.none(), st.integers(0, 3)),
    kinds=st.sampled_from(["all", "all", "files", "dirs", "leaves"]),
    below=st.sampled_from([b"", b"", b"a", b"a/b"]),
    is_repository=st.booleans(),
)
@example({b"a/b": "file", b"a.b": "file"}, {}, {}, [], False, False, None, "all", b"", True)
@example({b"a/a/a": "file", b"b": "file"}, {}, {}, ["!a/a"], False, False, None, "all", b"", True)
@example({b"a/b": "file"}, {b".gitignore": b"b"}, {}, [], False, False, 0, "all", b"", True)
def test_it_lists_what_a_naive_walk_lists(
    twin: ModuleType,
    tree: dict[bytes, str],
    rules: dict[bytes, bytes],
    deeper: dict[bytes, bytes],
    globs: list[str],
    hidden: bool,
    no_ignore: bool,
    max_depth: int | None,
    kinds: str,
    below: bytes,
    is_repository: bool,
) -> None:
    choice: dict[str, Any] = {"globs": globs, "hidden": hidden, "no_ignore": no_ignore, "max_depth": max_depth}
    wanted = {"all": ("file", "dir", "link", "other"), "files": ("file",), "dirs": ("dir",), "leaves": ("file", "link")}
    with tempfile.TemporaryDirectory() as place:
        # Links lead up by one folder, which is not that of other tests.
        top = Path(place, "top")
        top.mkdir()
        if is_repository:
            git_oracle.repository(top)
        plant(top, tree, rules | deeper)
        root = Path(os.fsdecode(os.fsencode(top) + b"/" + below))
        root = root if root.is_dir() else top
        expected, ignored = naive(root, kinds=wanted[kinds], **choice)
        found = twin.walk(str(root), kinds=kinds, **choice)
        assert (found.entries, found.ignored, found.total) == (expected, ignored, len(expected))
        assert (found.unreadable, found.truncated, found.stopped) == ([], False, False)
        loose = twin.walk(os.fsencode(root), kinds=kinds, sort=False, **choice)
        assert (sorted(loose.entries), loose.ignored) == (sorted(expected), ignored)
        for limit in {0, 1, len(expected) // 2, len(expected)}:
            some = twin.walk(str(root), kinds=kinds, limit=limit, **choice)
            assert some.entries == expected[:limit]
            assert some.truncated is (len(expected) > limit)
            assert some.total == min(len(expected), limit + 1)
            assert some.ignored <= ignored


class TestOrder:
    def test_a_folder_comes_before_its_content_and_both_before_names_that_only_start_alike(
        self, twin: ModuleType, tmp_path: Path
    ) -> None:
        plant(tmp_path, dict.fromkeys(b"a/b a! a-b a.b a0 ab a/b!".split(), "file"), {})
        assert names(twin.walk(tmp_path)) == b"a a/b a/b! a! a-b a.b a0 ab".split()

    def test_any_bytes_are_names(self, twin: ModuleType, tmp_path: Path) -> None:
        every = [bytes([byte]) for byte in range(1, 256) if byte not in b"./"]
        plant(tmp_path, dict.fromkeys(every, "file"), {})
        assert names(twin.walk(tmp_path)) == every

    def test_a_folder_of_many_files_is_in_order(self, twin: ModuleType, tmp_path: Path) -> None:
        for number in range(9000):
            (tmp_path / str(number)).touch()
        expected = sorted(str(number).encode() for number in range(9000))
        assert names(twin.walk(tmp_path)) == expected
        assert names(twin.walk(tmp_path, limit=7)) == expected[:7]
        assert sorted(names(twin.walk(tmp_path, sort=False))) == expected
        assert len(twin.walk(tmp_path, sort=False, limit=5000).entries) == 5000

    def test_rules_count_in_a_folder_of_many_files_wherever_they_are_listed(
        self, twin: ModuleType, tmp_path: Path
    ) -> None:
        for number in range(5000):
            (tmp_path / f"{number:06}-{'x' * 40}").touch()
        (tmp_path / ".ignore").write_text("*[02468]-*\n")
        found = twin.walk(tmp_path)
        assert (len(found.entries), found.ignored) == (2500, 2500)
        assert twin.walk(tmp_path, limit=10).ignored == 2500

    def test_with_a_limit_ignored_covers_the_folders_before_the_first_entry_left_out(
        self, twin: ModuleType, top: Path
    ) -> None:
        tree = {b"%b/%b" % (folder, name): "file" for folder in b"abcd" and (b"a", b"b", b"c") for name in (b"x", b"y")}
        plant(top, tree, {b".gitignore": b"y"})
        counts = [twin.walk(top, limit=limit).ignored for limit in range(7)]
        assert counts == [0, 1, 1, 2, 2, 3, 3]

    def test_newest_first_and_then_by_path(self, twin: ModuleType, tmp_path: Path) -> None:
        plant(tmp_path, dict.fromkeys([b"a/b", b"a.b", b"b", b"c"], "file"), {})
        os.symlink("b", tmp_path / "d")
        for path, time in {"a/b": 20, "a.b": 20, "b": 30, "c": -5, "d": 25, "a": 1}.items():
            os.utime(tmp_path / path, ns=(time, time), follow_symlinks=False)
        found = twin.walk(tmp_path, newest=True)
        assert names(found) == [b"b", b"d", b"a/b", b"a.b", b"a", b"c"]
        some = twin.walk(tmp_path, newest=True, limit=3, kinds="leaves")
        assert (names(some), some.truncated, some.total) == ([b"b", b"d", b"a/b"], True, 5)


class TestKinds:
    def test_links_are_listed_and_never_followed(self, twin: ModuleType, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        for name, target in {"loop": "loop", "up": "..", "a/back": "../a", "gone": "nowhere"}.items():
            os.symlink(target, tmp_path / name)
        expected = [(b"a", "dir"), (b"a/back", "link"), (b"gone", "link"), (b"loop", "link"), (b"up", "link")]
        assert twin.walk(tmp_path).entries == expected

    def test_the_root_may_be_a_link_and_end_in_a_slash(self, twin: ModuleType, tmp_path: Path) -> None:
        plant(tmp_path, {b"a/b": "file"}, {})
        os.symlink("a", tmp_path / "link")
        for root in ("link", "link/", "a/", "a", "./a//"):
            assert names(twin.walk(f"{tmp_path}/{root}")) == [b"b"]

    def test_a_fifo_and_a_socket_are_other_and_are_not_opened(self, twin: ModuleType, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        os.mkfifo(tmp_path / ".ignore")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(tmp_path / "socket"))
            assert twin.walk(tmp_path).entries == [(b"fifo", "other"), (b"socket", "other")]

    def test_entries_are_named_tuples_of_bytes_and_text(self, twin: ModuleType, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        [entry] = twin.walk(tmp_path).entries
        assert (entry.path, entry.kind) == (b"a", "file")

    def test_an_unknown_kind_and_a_negative_limit_are_refused(self, twin: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="`kinds` is `links`; use one of `all`, `files`, `dirs`, `leaves`"):
            twin.walk(tmp_path, kinds="links")
        with pytest.raises(ValueError, match="`limit` is `-1`; give 0 or more, or None for no limit"):
            twin.walk(tmp_path, limit=-1)


class TestFaults:
    def test_a_root_that_cannot_be_listed_is_an_error(self, twin: ModuleType, tmp_path: Path, refused: Path) -> None:
        (refused / "closed").mkdir(mode=0)
        (refused / "file").touch()
        for name, error in {"gone": FileNotFoundError, "file": NotADirectoryError, "closed": PermissionError}.items():
            with pytest.raises(error) as caught:
                twin.walk(str(refused / name))
            assert caught.value.filename == os.fsencode(refused / name)
        with pytest.raises(ValueError, match="embedded null"):
            twin.walk(f"{refused}\0")

    def test_what_cannot_be_read_is_reported_and_the_rest_is_listed(self, twin: ModuleType, refused: Path) -> None:
        plant(refused, {b"a/b": "file", b"closed/c": "file", b"z/d": "file"}, {b"z/.ignore": b"d", b".ignore": b"b"})
        os.chmod(refused / "closed", 0)
        os.chmod(refused / "z/.ignore", 0)
        found = twin.walk(refused)
        assert names(found) == [b"a", b"closed", b"z", b"z/d"]
        assert found.unreadable == [(b"closed", "permission denied"), (b"z/.ignore", "permission denied")]
        assert (twin.walk(refused, limit=1).unreadable, twin.walk(refused, limit=2).unreadable) == (
            [],
            found.unreadable[:1],
        )
        assert twin.walk(refused, no_ignore=True).unreadable == [(b"closed", "permission denied")]
        os.chmod(refused / "closed", 0o700)

    def test_rules_above_the_root_that_cannot_be_read_are_reported(self, twin: ModuleType, refused: Path) -> None:
        (refused / ".git").mkdir()
        plant(refused, {b"a/b/c": "file"}, {b".gitignore": b"c", b"a/.ignore": b"c"})
        excludes = refused / "excludes"
        excludes.touch(mode=0)
        for path in (".gitignore", "a/.ignore"):
            os.chmod(refused / path, 0)
        words = "permission denied"
        expected = [(os.fsencode(excludes), words), (b"../../.gitignore", words), (b"../.ignore", words)]
        found = twin.walk(refused / "a/b", excludes=str(excludes))
        assert (names(found), found.unreadable) == ([b"c"], expected)

    def test_a_path_longer_than_the_system_takes_is_reported(self, twin: ModuleType, tmp_path: Path) -> None:
        # The tree is built from its inside out, by renames, since no path may reach its end.
        name, inner = "d" * 200, tmp_path / "inner"
        inner.mkdir()
        for _ in range(22):
            (tmp_path / "outer").mkdir()
            os.rename(inner, tmp_path / "outer" / name)
            os.rename(tmp_path / "outer", inner)
        found = twin.walk(inner)
        [(path, words)] = found.unreadable
        assert words == "file name too long"
        assert found.entries[-1] == (path, "dir")
        for _ in range(22):
            os.rename(inner / name, tmp_path / "outer")
            os.rmdir(inner)
            os.rename(tmp_path / "outer", inner)

    def test_folders_that_come_and_go_meanwhile_are_survived(self, twin: ModuleType, tmp_path: Path) -> None:
        plant(tmp_path, {b"keep/%d/a" % number: "file" for number in range(40)}, {})
        over = threading.Event()

        def churn() -> None:
            while not over.is_set():
                (tmp_path / "keep/x/y").mkdir(parents=True)
                (tmp_path / "keep/x/y/z").touch()
                shutil.rmtree(tmp_path / "keep/x")

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(60):
                found = twin.walk(tmp_path)
                assert len([path for path in names(found) if path.endswith(b"/a")]) == 40
                assert {path for path, _ in found.unreadable} <= {b"keep/x", b"keep/x/y"}
        finally:
            over.set()
            thread.join()

    def test_a_deep_tree_takes_no_stack_and_few_descriptors(self, twin: ModuleType, tmp_path: Path) -> None:
        resource = pytest.importorskip("resource")
        depth = 1500
        chain = [f"{tmp_path}/" + "d/" * length for length in range(1, depth + 1)]
        for path in chain:
            os.mkdir(path)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 200
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 24, hard))
        try:
            found = twin.walk(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for path in reversed(chain):
                os.rmdir(path)
        assert (len(found.entries), found.unreadable) == (depth, [])


class TestStop:
    def test_a_stop_byte_set_before_gives_nothing(self, twin: ModuleType, tmp_path: Path) -> None:
        plant(tmp_path, {b"a/b": "file", b"c": "file"}, {})
        found = twin.walk(tmp_path, stop=bytearray(b"\1"))
        assert (found.entries, found.stopped, found.truncated) == ([], True, False)
        assert not twin.walk(tmp_path, stop=bytearray(1)).stopped

    def test_a_stop_byte_set_meanwhile_gives_part_of_the_whole(self, twin: ModuleType, tmp_path: Path) -> None:
        plant(tmp_path, {b"%d/%d/a" % (one, other): "file" for one in range(30) for other in range(30)}, {})
        whole = twin.walk(tmp_path).entries
        stop = bytearray(1)
        setter = threading.Timer(0.002, stop.__setitem__, (0, 1))
        setter.start()
        found = twin.walk(tmp_path, stop=stop)
        setter.join()
        assert found.stopped or len(found.entries) == len(whole)
        some = set(found.entries)
        assert found.entries == [entry for entry in whole if entry in some]


class TestRepositories:
    def test_a_nested_repository_has_rules_of_its_own(self, twin: ModuleType, top: Path) -> None:
        plant(top, {b"n": "repository", b"n/a": "file", b"n/b": "file", b"n/c": "file"}, {})
        for path, data in {".gitignore": "a", ".ignore": "b", "n/.git/info/exclude": "c"}.items():
            (top / path).write_text(data)
        found = twin.walk(top)
        assert (names(found), found.ignored) == ([b"n", b"n/a"], 2)
        assert git_oracle.untracked(top / "n") == {b"a", b"b"}

    def test_a_worktree_has_the_exclusions_of_its_repository(self, twin: ModuleType, tmp_path: Path) -> None:
        top = git_oracle.repository(tmp_path / "top")
        (top / ".git/info/exclude").write_text("a\n")
        (top / ".git/worktrees/w").mkdir(parents=True)
        (top / ".git/worktrees/w/commondir").write_text("../..\n")
        work = tmp_path / "work"
        work.mkdir()
        (work / ".git").write_text(f"gitdir: {top}/.git/worktrees/w\n")
        plant(work, {b"a": "file", b"b": "file"}, {})
        assert names(twin.walk(work)) == [b"b"]

    def test_a_named_root_that_is_ignored_is_walked(self, twin: ModuleType, top: Path) -> None:
        plant(top, {b"build/a": "file", b"build/b": "file", b"build/c/d": "file"}, {})
        (top / ".gitignore").write_text("build\nd\n")
        (top / "build/.gitignore").write_text("b\n")
        assert names(twin.walk(top / "build")) == [b"a", b"c", b"c/d"]
        assert names(twin.walk(top / "build/c")) == [b"d"]

    def test_gits_files_count_only_in_a_repository_and_the_others_always(
        self, twin: ModuleType, tmp_path: Path
    ) -> None:
        plant(tmp_path, {b"a": "file", b"b": "file", b"c": "file"}, {})
        for name, data in {".gitignore": "a", ".ignore": "b", ".nanocodeignore": "c\n!b"}.items():
            (tmp_path / name).write_text(data)
        assert names(twin.walk(tmp_path)) == [b"a", b"b"]
        git_oracle.repository(tmp_path)
        assert names(twin.walk(tmp_path)) == [b"b"]
        assert names(twin.walk(tmp_path, no_ignore=True)) == [b"a", b"b", b"c"]

    def test_the_file_of_general_exclusions_comes_last(self, twin: ModuleType, top: Path, tmp_path: Path) -> None:
        plant(top, {b"a": "file", b"b": "file", b"c": "file"}, {b".gitignore": b"!a"})
        (top / ".git/info/exclude").write_text("!b\n")
        (tmp_path / "excludes").write_text("[abc]\n")
        assert names(twin.walk(top, excludes=str(tmp_path / "excludes"))) == [b"a", b"b"]
        assert names(twin.walk(top, excludes=str(tmp_path / "none"))) == [b"a", b"b", b"c"]
