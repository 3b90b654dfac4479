"""glob, find and ls through the real program: what a model gets to see, and its next call."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from program import Program

from nanocode.errors import ToolError
from nanocode.settings import Settings
from nanocode.tool import Context, Stamps
from nanocode.tools.ls import ls

# From oldest to newest.
FILES = ("src/a.py", "src/b.ts", "src/sub/c.py", ".hid/x.py", "build/o.py", "top.py")


@pytest.fixture
def nanocode(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    for age, name in enumerate(FILES):
        path = program.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (age, age))
    (program.cwd / ".git").mkdir()
    (program.cwd / ".gitignore").write_text("build\n")
    return program


def told(program: Program, tool: str, **arguments: Any) -> list[str]:
    return program.run("tool", tool, json.dumps(arguments)).out.splitlines()


def failed(program: Program, tool: str, **arguments: Any) -> str:
    done = program.run("tool", tool, json.dumps(arguments))
    assert done.code != 0
    return (done.out + done.err).strip()


class TestGlob:
    def test_the_newest_come_first(self, nanocode: Program) -> None:
        assert told(nanocode, "glob", pattern="**/*.py") == ["top.py", "src/sub/c.py", "src/a.py"]
        assert told(nanocode, "glob", pat="src/*.{py,ts}") == ["src/b.ts", "src/a.py"]

    def test_a_pattern_without_a_slash_stays_in_the_folder(self, nanocode: Program) -> None:
        assert told(nanocode, "glob", pattern="*.py") == ["top.py"]
        assert told(nanocode, "glob", pattern="*.py", path="src") == ["src/a.py"]
        words = "no file matches `*.ts` (1 ignored; noIgnore to see them); `**/*.ts` looks at every depth"
        assert told(nanocode, "glob", pattern="*.ts") == [words]

    def test_with_a_limit_it_says_how_many_there_are_and_the_next_call(self, nanocode: Program) -> None:
        words = "[1 of 3 files shown. Use limit=2 for more, or refine the pattern]"
        assert told(nanocode, "glob", pattern="**/*.py", limit="1") == ["top.py", words]
        assert told(nanocode, "glob", pattern="**/*.py", limit=3)[-1] == "src/a.py"

    def test_hidden_and_ignored_are_shown_when_named_or_asked_for(self, nanocode: Program) -> None:
        assert told(nanocode, "glob", pattern=".hid/*.py") == [".hid/x.py"]
        assert told(nanocode, "glob", pattern="**/.hid/*") == [".hid/x.py"]
        assert told(nanocode, "glob", pattern="build/*") == ["build/o.py"]
        assert told(nanocode, "glob", pattern="**/[ox].py", hidden=True, noIgnore=True) == ["build/o.py", ".hid/x.py"]

    def test_found_paths_work_in_the_next_call(self, nanocode: Program) -> None:
        absolute = f"{nanocode.cwd}/src/a.py"
        assert told(nanocode, "glob", pattern=f"{nanocode.cwd}/src/*.py") == [absolute]
        assert told(nanocode, "glob", pattern="../work/src/a.*") == ["../work/src/a.py"]

    def test_a_folder_is_named_as_one(self, nanocode: Program) -> None:
        assert told(nanocode, "glob", pattern="src") == ["`src` is a folder; `src/**` lists the files in it"]
        assert told(nanocode, "glob", pattern="src/") == ["`src/` is a folder; `src/**` lists the files in it"]

    def test_a_folder_in_brackets_is_named_as_one(self, nanocode: Program) -> None:
        (nanocode.cwd / "app/[id]").mkdir(parents=True)
        (nanocode.cwd / "app/[id]/page.ts").touch()
        words = r"`app/[id]` is a folder; `app/\[id]/**` lists the files in it"
        assert told(nanocode, "glob", pattern="app/[id]") == [words]
        assert told(nanocode, "glob", pattern=r"app/\[id]/**") == ["app/[id]/page.ts"]

    def test_a_folder_that_is_missing_is_an_error_with_the_nearest_name(self, nanocode: Program) -> None:
        assert failed(nanocode, "glob", pattern="*.py", path="scr") == "`scr` does not exist; near it there is `src`"
        assert failed(nanocode, "glob", pattern="top.py/*") == "`top.py` is not a folder"


class TestFind:
    def test_everything_in_path_order_folders_with_a_slash(self, nanocode: Program) -> None:
        assert told(nanocode, "find") == ["src/", "src/a.py", "src/b.ts", "src/sub/", "src/sub/c.py", "top.py"]

    def test_a_name_at_any_depth_and_a_path_from_the_folder(self, nanocode: Program) -> None:
        assert told(nanocode, "find", pattern="*.py") == ["src/a.py", "src/sub/c.py", "top.py"]
        assert told(nanocode, "find", name="src/*.py") == ["src/a.py"]
        assert told(nanocode, "find", pattern="c.py", path="src") == ["src/sub/c.py"]
        assert told(nanocode, "find", pattern="s*/") == ["src/", "src/sub/"]

    def test_hidden_names_are_found_when_named(self, nanocode: Program) -> None:
        assert told(nanocode, "find", pattern="**/.hid/*") == [".hid/x.py"]
        assert told(nanocode, "find", pattern=".hid") == [".hid/"]

    def test_a_limit_is_told_only_when_there_is_more(self, nanocode: Program) -> None:
        words = "[2 entries limit reached. Use limit=4 for more, or refine the pattern]"
        assert told(nanocode, "find", limit=2) == ["src/", "src/a.py", words]
        assert told(nanocode, "find", limit=6)[-1] == "top.py"

    def test_nothing_says_what_was_ignored(self, nanocode: Program) -> None:
        words = "nothing named `o.py` in `.` (1 ignored; noIgnore to see them)"
        assert told(nanocode, "find", pattern="o.py") == [words]
        assert told(nanocode, "find", pattern="o.py", noIgnore=True) == ["build/o.py"]

    def test_a_file_and_a_missing_folder_are_errors(self, nanocode: Program) -> None:
        assert failed(nanocode, "find", path="top.py") == "`top.py` is not a folder; find looks below folders"
        assert failed(nanocode, "find", path="scr") == "`scr` does not exist; near it there is `src`"

    def test_strange_names_stay_on_one_line(self, nanocode: Program) -> None:
        Path(os.fsdecode(os.fsencode(nanocode.cwd) + b"/src/n\n\xff")).touch()
        assert told(nanocode, "find", pattern="n*") == ["src/n\\n\ufffd"]

    @pytest.mark.skipif(not shutil.which("git"), reason="git is asked for its general exclusions")
    def test_gits_general_exclusions_count(self, nanocode: Program) -> None:
        (nanocode.home / ".gitconfig").write_text(f"[core]\nexcludesFile = {nanocode.home}/general\n")
        (nanocode.home / "general").write_text("*.ts\n")
        assert told(nanocode, "find", pattern="b.ts") == [
            "nothing named `b.ts` in `.` (2 ignored; noIgnore to see them)"
        ]


class TestLs:
    def test_folders_first_and_dotfiles_shown(self, nanocode: Program) -> None:
        assert told(nanocode, "ls") == [".git/", ".hid/", "build/", "src/", ".gitignore", "top.py"]
        assert told(nanocode, "ls", path="@src") == ["sub/", "a.py", "b.ts"]

    def test_with_a_limit_it_says_how_many_there_are(self, nanocode: Program) -> None:
        assert told(nanocode, "ls", limit=1) == [".git/", "[1 of 6 entries shown. Use limit=6 for all.]"]

    def test_an_empty_folder_a_file_and_a_missing_one(self, nanocode: Program) -> None:
        assert told(nanocode, "ls", path=".git") == ["[the folder is empty]"]
        assert failed(nanocode, "ls", path="top.py") == "`top.py` is not a folder; read shows a file"
        assert failed(nanocode, "ls", path="scr") == "`scr` does not exist; near it there is `src`"

    def test_links_to_nowhere_and_in_a_circle_are_names_like_others(self, nanocode: Program) -> None:
        source = nanocode.cwd / "src"
        (source / "circle").symlink_to("circle")
        (source / "nowhere").symlink_to("no-file")
        (source / "to").symlink_to("sub")
        Path(os.fsencode(source).decode() + "/\udcff\n").touch()
        odd = "\ufffd\\n"
        assert told(nanocode, "ls", path="src") == ["sub/", "to/", "a.py", "b.ts", "circle", "nowhere", odd]
        listing = ["a.py", "b.ts", "circle", "nowhere", "sub/", "to/", odd]
        assert told(nanocode, "read", path="src")[1:] == listing
        words = "`src/nowhere` is a link to `no-file`, where there is nothing"
        assert failed(nanocode, "ls", path="src/nowhere") == words
        assert failed(nanocode, "grep", pattern="x", path="src/nowhere") == words

    def test_a_stop_ends_the_reading_of_a_folder(self, nanocode: Program) -> None:
        here = nanocode.cwd
        context = Context(Settings(here, here, {}), lambda text: None, bytearray(b"\1"), Stamps())
        with pytest.raises(ToolError, match="interrupted"):
            asyncio.run(ls.run(context, path=None, limit=500))


@pytest.mark.parametrize(
    ("tool", "argument", "words"),
    [
        ("glob", "pattern", "no file matches `{}`"),
        ("find", "pattern", "nothing named `{}` in `.` (1 ignored; noIgnore to see them)"),
        ("grep", "glob", "0 matches (0 files searched, 1 ignored; noIgnore to search them)"),
    ],
)
@pytest.mark.parametrize(
    ("name", "meant", "escaped"),
    [
        ("app/[id]/page.ts", "app/[id]/*.ts", r"app/\[id]/*.ts"),
        ("app/[[...slug]]/page.ts", "app/[[...slug]]/*.ts", r"app/\[\[...slug]]/*.ts"),
    ],
)
def test_a_name_in_brackets_is_found_by_what_the_answer_says(
    nanocode: Program, tool: str, argument: str, words: str, name: str, meant: str, escaped: str
) -> None:
    path = nanocode.cwd / name
    path.parent.mkdir(parents=True)
    path.write_text("here\n")
    more = {"pattern": "here", "mode": "files"} if tool == "grep" else {}
    hint = f"; brackets hold the choices for one character: `{escaped}` takes them as they stand"
    assert told(nanocode, tool, **more, **{argument: meant}) == [words.format(meant) + hint]
    assert told(nanocode, tool, **more, **{argument: escaped}) == [name]
    (answer,) = told(nanocode, tool, **more, **{argument: "app/[ab]/*.ts"})
    assert answer == words.format("app/[ab]/*.ts"), "where no name has these brackets they are meant as they work"
