"""The small parts of the terminal: pastes, completion, diffs, calls, figures, the history file, the editor."""

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from nanocode.errors import UsageError
from nanocode.events import ToolEnded, ToolOutput, ToolStarted
from nanocode.messages import Usage
from nanocode.ui.calls import OWN, Calls
from nanocode.ui.completion import closest, matching
from nanocode.ui.diffs import diff_rows
from nanocode.ui.editor import command, edited
from nanocode.ui.highlight import Highlighter
from nanocode.ui.markdown import BEFORE, texts
from nanocode.ui.past import Past
from nanocode.ui.pastes import Pastes
from nanocode.ui.plain import call_line, result_line
from nanocode.ui.toolbar import branch, count, money, spent_words


def test_long_pastes_fold_and_come_back() -> None:
    pastes = Pastes()
    rows = "a\r\nb\rc\nd\ne\nf"
    assert pastes.fold("one\r\ntwo") == "one\ntwo"
    assert pastes.fold(rows) == "[paste #1 +6 lines]"
    assert pastes.fold("x" * 2000) == "[paste #2 +2000 characters]"
    text = "see [paste #2 +2000 characters] and [paste #1 +6 lines], not [paste #3 +9 lines]"
    assert pastes.unfold(text) == f"see {'x' * 2000} and a\nb\nc\nd\ne\nf, not [paste #3 +9 lines]"


def test_a_call_shows_its_arguments_as_json_and_its_result_without_the_marks_of_foreign_text() -> None:
    assert call_line("mcp_call", {"arguments": {"on": True}}) == 'mcp_call(arguments={"on":true})'
    assert result_line('<untrusted source="mcp:a/b">\none\ntwo\n</untrusted>') == "one ... +1 line"
    assert result_line('<untrusted source="mcp:a/b">\n</untrusted>\n') == ""


def test_the_branch_of_a_repository_a_worktree_and_a_lone_commit(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert branch(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "sub").mkdir()
    assert branch(tmp_path / "sub") == "main", "before its first commit too"
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("worktree", "add", "-q", "-b", "feature/x", "tree")
    assert (branch(tmp_path / "tree"), branch(tmp_path)) == ("feature/x", "main")
    git("checkout", "-q", "--detach")
    assert branch(tmp_path) == git("rev-parse", "HEAD")[:7]
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    assert branch(tmp_path) == ""


def test_the_closest_paths_come_first() -> None:
    paths = ["src/", "src/agent/loop.py", "docs/loops.md", "tests/test_loop.py", "lib/old/o.py", "x/l_o_o_p"]
    assert closest("loop", paths) == [
        "docs/loops.md",
        "src/agent/loop.py",
        "tests/test_loop.py",
        "x/l_o_o_p",
        "lib/old/o.py",
    ]
    assert closest("salp", paths) == ["src/agent/loop.py"]
    assert closest("src/", paths)[0] == "src/"
    assert closest("", paths)[0] == "src/"
    assert closest("zzz", paths) == []


def test_options_that_begin_with_what_is_typed_come_first() -> None:
    options = [("beta-a", ""), ("alpha", ""), ("Ab", "")]
    assert [value for value, _ in matching("a", options)] == ["alpha", "Ab", "beta-a"]


def test_a_diff_has_line_numbers_of_the_file_as_it_is_now() -> None:
    diff = "--- a.py\n+++ a.py\n@@ -8,3 +8,3 @@\n a\n-b\x1b[0m\n+B\n c\n@@ -20 +20,2 @@\n d\n+e\n\\ No newline"
    assert texts(diff_rows(diff)) == [
        "a.py",
        " 8   a",
        " 9 - b[0m",
        " 9 + B",
        "10   c",
        " ⋮",
        "20   d",
        "21 + e",
        "\\ No newline",
    ]


def test_a_diff_of_several_files_names_each_and_says_what_it_cannot_show() -> None:
    gone = "--- old.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n---- a\n-++ b"
    diff = f"{gone}\n--- /dev/null\n+++ new.py\n@@ -0,0 +1 @@\n+++ c\n--- x.bin\n+++ x.bin\n@@ 5 bytes became 7 @@"
    assert texts(diff_rows(diff)) == [
        "old.py",
        " 1 - --- a",
        " 2 - ++ b",
        "new.py",
        " 1 + ++ c",
        "x.bin",
        "@@ 5 bytes became 7 @@",
    ]


def test_a_call_shows_the_end_of_its_output_and_then_folds() -> None:
    calls = Calls(lambda: 30)
    calls.start(ToolStarted("1", "bash", {"command": "make all the things now"}))
    calls.output(ToolOutput("1", "".join(f"\x1b[32mline {n}\x1b[0m\n" for n in range(9)) + "10%\r50%\r"))
    live = texts(calls.live())
    assert live[0].startswith("⏺ bash(command=make all") and live[0].endswith("…")
    assert live[1:] == ["⎿ line 5", "  line 6", "  line 7", "  line 8", "  50%"]
    rows = calls.end(ToolEnded("1", "bash", "line 0\nline 1\nline 2", False, 5))
    assert texts(rows)[-1] == "⎿ line 0 ... +2 lines" and calls.live() == []
    assert calls.ended[-1].text == "line 0\nline 1\nline 2"


def test_a_shell_line_of_the_users_own_shows_what_it_printed() -> None:
    calls = Calls(lambda: 20)
    printed = "\n".join(f"line {n}   and its far end" for n in range(50))
    for failed in (False, True):
        calls.start(ToolStarted(OWN, "bash", {"command": "x"}))
        short = texts(calls.end(ToolEnded(OWN, "bash", "a\n  b\n", failed, 5)))
        assert short == ["⏺ bash(command=x)", "⎿ a", "    b"]
        long = texts(calls.end(ToolEnded(OWN, "bash", printed, failed, 5)))
        assert long[1:3] == ["⎿ … 10 lines before (Ctrl-O shows all)", "  line 10   and its far end"]
        assert long[-1] == "  line 49   and its far end" and len(long) == 42


def test_output_that_a_command_draws_over_shows_as_a_terminal_would_and_costs_little() -> None:
    calls = Calls(lambda: 30)
    calls.start(ToolStarted("1", "bash", {"command": "make"}))
    calls.output(ToolOutput("1", "a\rbc\r\nkept\r\n1%\r2%\r3%"))
    assert texts(calls.live())[1:] == ["⎿ bc", "  kept", "  3%"]
    calls.output(ToolOutput("1", "x" * 4096))
    began = time.process_time()
    for _ in range(100):
        calls.live()
    assert time.process_time() - began < 1


def test_a_failed_call_shows_its_reason_and_its_hint() -> None:
    calls = Calls(lambda: 60)
    calls.start(ToolStarted("1", "bash", "not json"))
    result = "\n".join([f"line {n}" for n in range(20)] + ["hint: do it otherwise"])
    rows = calls.end(ToolEnded("1", "bash", result, True, 5))
    assert texts(rows)[0] == "⏺ bash(not json)"
    assert texts(rows)[1:] == [
        "⎿ line 0", "  … 16 more lines", "  line 17", "  line 18", "  line 19", "  hint: do it otherwise"
    ]  # fmt: skip
    assert {style for row in rows[1:] for style, _ in row if _.strip()} == {"31"}


def test_a_long_diff_folds() -> None:
    calls = Calls(lambda: 60)
    diff = "--- a\n+++ a\n@@ -0,0 +1,100 @@\n" + "\n".join(f"+{n}" for n in range(100))
    rows = texts(calls.end(ToolEnded("1", "write", "wrote new file\nmore", False, 5, diff)))
    assert rows[1] == "⎿ wrote new file" and rows[-1] == "  … +60 lines (Ctrl-O shows all)"


def test_figures() -> None:
    assert [count(n) for n in (0, 999, 1000, 13_449, 99_999, 999_999, 1_234_567)] == [
        "0", "999", "1.0k", "13.4k", "100k", "1.0M", "1.2M"
    ]  # fmt: skip
    assert [money(d) for d in (0, 0.01234, 1.5)] == ["$0", "$0.0123", "$1.50"]
    assert spent_words(Usage(), 0.0) == ""
    assert spent_words(Usage(1200, 30, 1000), 0.5) == " · 1.2k in (1.0k cached) · 30 out · $0.5000"
    assert spent_words(Usage(1, 1), None) == " · 1 in · 1 out"


def test_the_history_file_is_private_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "history"
    past = Past(path)
    past.append_string("one\ntwo")
    past.append_string("\udcff lone")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(Past(path).load_history_strings()) == ["? lone", "one\ntwo"]
    for number in range(30):
        past.append_string(f"{number} " + "x" * 50_000)
    assert path.stat().st_size < (1 << 20) + 60_000
    assert next(iter(Past(path).load_history_strings())).startswith("29 ")


def test_a_history_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    past = Past(tmp_path / "file" / "history")
    past.append_string("one")
    assert list(past.load_history_strings()) == []


def test_the_editor_of_the_user_is_found() -> None:
    assert command({"VISUAL": "code -w", "EDITOR": "vi"}) == ["code", "-w"]
    assert command({"VISUAL": "", "EDITOR": "'my editor'"}) == ["my editor"]
    with pytest.raises(UsageError, match="open quote"):
        command({"EDITOR": "'vi"})
    with pytest.raises(UsageError, match="there is no editor"):
        command({"PATH": "/nonexistent"})


def test_an_editor_gets_the_text_and_not_the_keys(tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nprintf "%s and %s\\n" "$(cat "$1")" "${OPENAI_API_KEY:-no key}" > "$1"\n')
    script.chmod(0o755)
    environ = {"EDITOR": str(script), "PATH": "/usr/bin:/bin", "OPENAI_API_KEY": "sk-secret"}
    assert asyncio.run(edited("mine", environ, ".md")) == "mine and no key"


@pytest.mark.parametrize(("words", "message"), [("/bin/false", "exit code 1"), ("/nonexistent/e", "does not start")])
def test_an_editor_that_fails_says_so(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asyncio.run(edited("mine", {"EDITOR": words}, ".md"))


def lit() -> Highlighter:
    highlighter = Highlighter()
    asyncio.run(highlighter.load())
    return highlighter


SCRIPT = """\
/** What it does,
 * and it's "all" of it. */
function f(a) { // the glob /* is no comment
  const s = "src/*", t = `${a} and
  more */`; /* one */ /* two
  three */ return s + t + 1;
}
"""
CODES = {
    "python": Path(__file__).read_text("utf-8"),
    "javascript": SCRIPT * 3,
    "css": "a {\n color: red; /* x\n y */\n}\n",
}


@pytest.mark.parametrize("language", CODES)
def test_code_that_streams_has_the_colours_of_the_whole_at_its_price(language: str) -> None:
    highlighter = lit()
    lines = CODES[language].splitlines()
    began = time.process_time()
    whole = highlighter(language, [], lines)
    took = time.process_time() - began
    for step in (3, 2, 1):
        rows = []
        began = time.process_time()
        for at in range(0, len(lines), step):
            rows += highlighter(language, lines[max(at - BEFORE, 0) : at], lines[at : at + step])
        assert rows == whole
        assert time.process_time() - began < 10 * took + 0.01


def test_code_keeps_its_lines_whatever_the_language() -> None:
    highlighter = Highlighter()
    assert highlighter("python", [], ["x = 1"]) == [[("", "x = 1")]]
    highlighter = lit()
    lines = ["def f():", "", '    """two', '    lines"""', "    return 1", "```", "<?php $a /* b", "$ ls"]
    for language in (
        *("python", "PYTHON", "json", "no-such-language", "", "c++", "yaml", "markdown", "scheme"),
        *("console", "erl", "doscon", "php", "html+django", "ruby", "make", "text"),
    ):
        for at in range(len(lines)):
            assert texts(highlighter(language, lines[:at], lines[at:])) == lines[at:], language
    [row] = highlighter("python", ['"""begins', "goes on"], ['ends""" + 1'])
    assert ("32", 'ends"""') in row
    began = time.process_time()
    assert texts(highlighter("python", [], ["x" * 100_000])) == ["x" * 100_000]
    assert time.process_time() - began < 5
