"""The command line as a person or a script meets it: help, versions, wrong words, stdin, closed pipes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from peer import Gate, Peer, reply, text
from program import Program, finish

from nanocode import __version__
from nanocode.settings import FLAGS


def test_help_names_every_flag_and_the_way_without_a_key(nanocode: Program) -> None:
    done = nanocode.run("--help")
    assert done.code == 0 and not done.err
    for flag in FLAGS:
        assert all(name in done.out for name in flag.names) and flag.meaning in done.out
    assert "--demo" in done.out.split("flags:")[0]


def test_the_version_says_which_core_runs_and_why(nanocode: Program) -> None:
    nanocode.environ["NANOCODE_EXT"] = "off"
    done = nanocode.run("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"nanocode {__version__} (python core: NANOCODE_EXT=off; Python 3.")


WRONG = [
    (["--no-such-flag"], "--no-such-flag"),
    (["--mode", "xml", "hi"], "xml"),
    (["--max-turns", "zero", "hi"], "--max-turns"),
    (["--max-turns", "0", "hi"], "--max-turns"),
    (["--time-limit", "nan", "hi"], "--time-limit"),
    (["--demo", "--tools", "reed", "hi"], "reed"),
    (["--print"], "no prompt"),
    (["--mode", "json"], "no prompt"),
    (["--demo", "--max-cost", "1", "hi"], "--max-cost"),
    (["tool"], "usage"),
    (["tool", "reed"], "reed"),
    (["tool", "read", "{"], "JSON"),
    (["tool", "read", "{}"], "path"),
    (["tool", "read", '{"path": "a", "offset": "x"}'], "offset"),
]


@pytest.mark.parametrize(
    ("arguments", "named"), WRONG, ids=lambda each: " ".join(each) if isinstance(each, list) else ""
)
def test_what_cannot_start_exits_2_names_it_and_says_what_to_do(
    nanocode: Program, arguments: list[str], named: str
) -> None:
    done = nanocode.run(*arguments)
    assert (done.code, done.out) == (2, "")
    first, *rest = done.err.splitlines()
    assert first.startswith("nanocode: ") and named in done.err
    assert rest and rest[0].startswith("hint: ")


def test_without_a_key_two_lines_name_both_ways_out(nanocode: Program) -> None:
    done = nanocode.run("hi")
    assert done.code == 2
    assert len(done.err.splitlines()) == 2
    assert "OPENCODE_API_KEY" in done.err and "--demo" in done.err


def test_flags_and_words_mix_in_any_order(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_text("")
    for arguments in (["what", "--demo", "files", "are", "here?"], ["--quiet", "what files", "--demo", "are here?"]):
        done = nanocode.run(*arguments)
        assert (done.code, done.out) == (0, "This directory contains `a.txt`.\n")


def test_quiet_prints_the_final_text_and_nothing_else(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_text("")
    nanocode.environ["NANOCODE_NO_SUCH"] = "1"
    done = nanocode.run("--demo", "--quiet", "what files are here?")
    assert (done.code, done.out, done.err) == (0, "This directory contains `a.txt`.\n", "")


def test_an_unknown_variable_gives_one_warning(nanocode: Program) -> None:
    nanocode.environ["NANOCODE_NO_SUCH"] = "1"
    done = nanocode.run("--demo", "what files are here?")
    assert done.err.count("NANOCODE_NO_SUCH") == 1


def test_piped_text_joins_the_prompt_or_is_the_prompt(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_text("")
    for arguments in ([], ["--print"], ["-"]):
        done = nanocode.run("--demo", "--quiet", *arguments, stdin="what files are here?\n")
        assert (done.code, done.out) == (0, "This directory contains `a.txt`.\n")
    done = nanocode.run("--demo", "--mode", "json", "and say why", stdin="what files are here?\n")
    assert done.of("message_end")[0]["text"] == "and say why\n\nwhat files are here?\n"


def test_an_open_silent_stdin_does_not_hold_up_a_prompt(nanocode: Program) -> None:
    source, sink = os.pipe()
    try:
        process = nanocode.start("--demo", "hello", stdin=source)
        done = finish(process)
    finally:
        os.close(source)
        os.close(sink)
    assert done.code == 0
    assert "silent" in done.err


def test_a_reader_that_leaves_ends_the_run_quietly(nanocode: Program) -> None:
    process = nanocode.start("--demo", "--mode", "json", "run `sleep 60`")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    done = finish_without_stdout(process)
    assert done == (141, b"")


@pytest.mark.parametrize("flags", [[], ["--mode", "json"]], ids=["text", "json"])
def test_a_reader_that_was_never_there_ends_the_run_quietly(nanocode: Program, flags: list[str]) -> None:
    gate = Gate()
    with Peer([replace(reply(text("an answer")), held=gate)]) as peer:
        process = nanocode.at(peer.url).start(*flags, "go")
        assert process.stdout is not None
        process.stdout.close()
        gate.open()
        assert finish_without_stdout(process) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs `/dev/full`")
@pytest.mark.parametrize(
    "words", [["--help"], ["--demo", "hello"], ["--demo", "--mode", "json", "hello"], ["tool", "ls"]], ids=" ".join
)
def test_a_full_disk_behind_stdout_is_said(nanocode: Program, words: list[str]) -> None:
    nanocode.before = ["sh", "-c", 'exec "$@" > /dev/full', "sh"]
    done = nanocode.run(*words)
    assert (done.code, done.err) == (1, "nanocode: No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_were_closed_before_the_start_are_no_matter(nanocode: Program, closed: str) -> None:
    nanocode.before = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = nanocode.run("--demo", "run `touch made`")
    assert done.code == 0 and (nanocode.cwd / "made").exists()
    assert bool(done.out) == (">&-" not in closed.split()) and "Traceback" not in done.err


def finish_without_stdout(process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    return process.wait(60), err


def test_a_tool_runs_without_a_model(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_text("one\ntwo\n")
    done = nanocode.run("tool", "read", '{"path": "a.txt"}')
    assert (done.code, done.out, done.err) == (0, "   1| one\n   2| two\n", "")
    done = nanocode.run("tool", "read", stdin='{"path": "a.txt", "limit": "1"}')
    assert done.out.startswith("   1| one\n[Showing lines 1-1 of 2.")
    done = nanocode.run("tool", "read", '{"path": "b.txt"}')
    assert done.code == 1 and "b.txt" in done.out


def test_system_prompts_come_as_text_or_files_in_order(nanocode: Program) -> None:
    (nanocode.cwd / "rules.md").write_text("Rule from a file.")
    done = nanocode.run("--demo", "--system-prompt", "Be brief.", "--append-system-prompt", "rules.md", "hello")
    assert done.code == 0


def test_ctrl_c_while_the_program_loads_ends_it_quietly(nanocode: Program, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, sys\n"
        # A shell's background job, as this run may be one, is born without it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'nanocode.settings':\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    nanocode.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = nanocode.run("--help")
    assert (done.code, done.out, done.err) == (130, "", "")


def test_a_key_of_openai_that_goes_to_opencode_is_told(nanocode: Program) -> None:
    nanocode.environ |= {"OPENAI_API_KEY": "sk-test-0123456789", "HTTPS_PROXY": "http://127.0.0.1:1"}
    told = "the key of `OPENAI_API_KEY` goes to opencode.ai: set OPENAI_BASE_URL, or OPENCODE_API_KEY"
    assert told in nanocode.run("hi").err
    assert told in nanocode.run("doctor").out
    nanocode.environ["OPENCODE_API_KEY"] = "sk-test-0123456789"
    assert "goes to" not in nanocode.run("hi").err


def test_a_deleted_working_folder_is_said(nanocode: Program, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    process = subprocess.Popen(
        ["sh", "-c", 'rmdir "$1" && exec "$2" -P -m nanocode --demo hi', "sh", str(gone), sys.executable],
        cwd=gone,
        env={name: value for name, value in nanocode.environ.items() if name != "PYTHONPATH"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    done = finish(process)
    assert done.code == 2 and "working folder is gone" in done.err
