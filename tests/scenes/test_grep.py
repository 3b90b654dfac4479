"""grep as a person or a model calls it: the words of its answer."""

import json
import os
from pathlib import Path

import pytest
from program import Program


@pytest.fixture
def tree(nanocode: Program) -> Path:
    for name, text in {
        "src/app.py": "import os\n\n\ndef main():\n    return os.name\n",
        "src/data.bin": "main\0",
        "notes.md": "main idea\nmain point\n" * 3,
        "skipped.log": "main\n",
        ".ignore": "*.log\n",
    }.items():
        path = nanocode.cwd / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return nanocode.cwd


def grep(nanocode: Program, **arguments: object) -> str:
    done = nanocode.run("tool", "grep", json.dumps(arguments))
    assert done.code == 0, done.err
    return done.out.rstrip("\n")


def test_a_few_matches_come_with_their_surroundings(nanocode: Program, tree: Path) -> None:
    assert (
        grep(nanocode, pattern="def main", path="src") == "src/app.py\n2- \n3- \n4: def main():\n5-     return os.name"
    )


def test_many_matches_are_grouped_by_file(nanocode: Program, tree: Path) -> None:
    assert grep(nanocode, pattern=r"\bmain\b", limit=7) == (
        "notes.md\n1: main idea\n2: main point\n3: main idea\n4: main point\n5: main idea\n6: main point\n\n"
        "src/app.py\n4: def main():\n"
        "[7 matches limit reached. Use limit=14 for more, or refine the pattern]"
    )
    assert grep(nanocode, pattern="main", mode="count", glob="*.{py,md}") == "notes.md: 6\nsrc/app.py: 1"
    assert grep(nanocode, pattern="main", mode="files") == "notes.md\nsrc/app.py\nsrc/data.bin"


def test_a_binary_file_is_said(nanocode: Program, tree: Path) -> None:
    assert grep(nanocode, pattern="main", path="src/data.bin") == "src/data.bin: binary file matches"


def test_no_match_says_what_was_searched(nanocode: Program, tree: Path) -> None:
    assert grep(nanocode, pattern="nowhere") == "0 matches (3 files searched, 1 ignored; noIgnore to search them)"


def test_a_pattern_that_does_not_parse_is_searched_as_text_and_said(nanocode: Program, tree: Path) -> None:
    first, *rest = grep(nanocode, pattern="main(", mode="files").splitlines()
    assert first == "[the pattern does not parse (unclosed `(` at offset 4); searched as plain text]"
    assert rest == ["src/app.py"]


def test_text_of_endless_length_is_refused_in_words(nanocode: Program, tree: Path) -> None:
    done = nanocode.run("tool", "grep", json.dumps({"pattern": "x" * 100_000}))
    assert done.code == 1 and "cannot be searched: it is too large; search a shorter one" in done.out


def test_a_fifo_is_no_trap(nanocode: Program, tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    assert grep(nanocode, pattern="x", path="fifo").splitlines()[-1] == "[not searched: fifo: not a regular file]"
