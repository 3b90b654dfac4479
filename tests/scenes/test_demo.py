"""The demo model through the real program: the whole path without a key or a network."""

import pytest
from program import Program, assert_grammar


def test_the_files_of_a_folder_are_named_as_in_the_readme(nanocode: Program) -> None:
    for name in ("README.md", "nanocode.py", "screenshot.png"):
        (nanocode.cwd / name).write_text("")
    done = nanocode.run("--demo", "what files are here?")
    assert done.code == 0
    assert done.out == "This directory contains `README.md`, `nanocode.py`, and `screenshot.png`.\n"
    assert "⏺ bash(command=ls -1)\n⎿ README.md ... +2 lines\n" in done.err


def test_a_newcomer_sees_a_file_written_read_searched_and_edited(nanocode: Program) -> None:
    prompt = 'write notes.txt: hello world, then replace "world" with "there" in notes.txt, then read notes.txt'
    done = nanocode.run("--demo", "--mode", "json", prompt + ", then grep hello, then find *.txt")
    assert_grammar(done.events)
    assert [event["name"] for event in done.of("tool_start")] == ["write", "edit", "read", "grep", "find"]
    assert not [event for event in done.of("tool_end") if event["isError"]]
    assert (nanocode.cwd / "notes.txt").read_text() == "hello there\n"
    final = done.events[-1]
    assert final["stopReason"] == "done"
    assert "hello there" in final["text"] and "notes.txt" in final["text"]


def test_anything_else_is_answered_with_what_it_can_do(nanocode: Program) -> None:
    done = nanocode.run("--demo", "tell me a joke")
    assert done.code == 0
    assert "what files are here?" in done.out


@pytest.mark.parametrize("tools", ["none", "read"])
def test_the_demo_keeps_to_the_tools_it_is_given(nanocode: Program, tools: str) -> None:
    done = nanocode.run("--demo", "--mode", "json", "--tools", tools, "what files are here?")
    assert done.code == 0
    assert not done.of("tool_start")
