"""The bash tool through the real program: background children, timeouts, floods of output, and what is left behind."""

import json
import os
import re
import signal
import stat
import time
from pathlib import Path

import pytest
from peer import Peer, call, reply, text
from program import Done, Program, alive, finish, measures_memory

FLOOD = 200 << 20


@pytest.fixture
def nanocode(tmp_path: Path) -> Program:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return Program(tmp_path, {"TMPDIR": str(temporary)})


def bash(nanocode: Program, command: str, **more: object) -> Done:
    return nanocode.run("tool", "bash", json.dumps({"command": command, **more}))


def test_output_and_errors_come_in_one_stream_in_order(nanocode: Program) -> None:
    done = bash(nanocode, "echo one; echo two >&2; echo three")
    assert (done.code, done.out, done.err) == (0, "one\ntwo\nthree\n", "")


ENDINGS = [
    ("true", 0, "[no output]\n"),
    ("echo hi; exit 3", 1, "hi\n[exit code 3]\n"),
    ("no-such-command-here", 1, "exit code 127"),
    ("kill -TERM $$", 1, "[killed by SIGTERM: exit code 143]\n"),
    ("kill -KILL $$", 1, "[killed by SIGKILL: exit code 137]\n"),
    ('read line; echo "<$line>"', 0, "<>\n"),
    ("[ -t 0 ] || [ -t 1 ] || echo no terminal", 0, "no terminal\n"),
    ("shopt -q login_shell || echo not a login shell", 0, "not a login shell\n"),
    ("printf 'no newline at the end'", 0, "no newline at the end\n"),
    ("printf '10%%\\r55%%\\r100%%\\nok\\r\\n'", 0, "100%\nok\n"),
    ("printf '\\033[31mred\\033[0m \\033]0;title\\007plain'", 0, "red plain\n"),
    ("printf 'caf\\303\\251 \\377'", 0, "café \ufffd\n"),
]


@pytest.mark.parametrize(("command", "code", "out"), ENDINGS, ids=[each[0] for each in ENDINGS])
def test_what_the_model_reads(nanocode: Program, command: str, code: int, out: str) -> None:
    done = bash(nanocode, command)
    assert done.code == code and done.out.endswith(out) if out.startswith("[") else out in done.out


def test_keys_are_not_in_its_environment(nanocode: Program) -> None:
    for name in ("OPENAI_API_KEY", "OPENCODE_API_KEY", "OPENCODE_GO_API_KEY", "EXA_API_KEY", "OPENCODE_AUTH_CONTENT"):
        nanocode.environ[name] = "sk-secret"
    nanocode.environ["KEPT"] = "kept"
    done = bash(nanocode, "env")
    assert "sk-secret" not in done.out and "KEPT=kept" in done.out


BACKGROUND = {
    "silent": "sleep 600 & echo $!",
    "in a session of its own": "setsid sleep 600 & echo $!",
}


@pytest.mark.parametrize("command", BACKGROUND.values(), ids=BACKGROUND)
def test_a_child_in_the_background_does_not_hold_up_the_call_and_goes_on(nanocode: Program, command: str) -> None:
    done = bash(nanocode, command)
    pid = int(done.out.split()[0])
    try:
        assert done.code == 0 and alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_child_that_goes_on_talking_lives_as_long_as_the_session(nanocode: Program) -> None:
    begin = "(while :; do echo x; echo y >> log; sleep 0.02; done) & echo $! > pid"
    later = "n=$(wc -l < log); until [ $(wc -l < log) -gt $((n + 3)) ]; do kill -0 $(cat pid) || exit; done; echo alive"
    calls = [call("bash", {"command": begin}, id="a"), call("bash", {"command": f"{later}; kill $(cat pid)"}, id="b")]
    with Peer([reply(calls[0]), reply(calls[1]), reply(text("ok"))]) as peer:
        assert nanocode.at(peer.url).run("go").code == 0
    assert peer.requests[2].messages[-1]["content"] == "alive"


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["quiet", "ignoring TERM"])
def test_a_timeout_ends_the_whole_group_and_keeps_the_output(nanocode: Program, trap: str) -> None:
    pids = nanocode.cwd / "pids"
    command = f"{trap}echo before; sleep 600 & echo $! $$ > pids; sleep 600"
    done = bash(nanocode, command, timeout=1)
    assert (done.code, done.out) == (1, "before\n[timed out after 1 s and was killed]\n")
    assert not [pid for pid in pids.read_text().split() if alive(int(pid))]


def test_the_default_timeout_can_be_set(nanocode: Program) -> None:
    nanocode.environ["NANOCODE_BASH_SECONDS"] = "0.5"
    assert "timed out after 0.5 s" in bash(nanocode, "sleep 600").out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_call_leaves_no_process(nanocode: Program, number: int) -> None:
    fifo = nanocode.cwd / "fifo"
    os.mkfifo(fifo)
    process = nanocode.start("tool", "bash", json.dumps({"command": "sleep 600 & echo $! $$ > fifo; wait"}))
    pids = [int(pid) for pid in fifo.read_text().split()]
    process.send_signal(number)
    done = finish(process)
    assert done.code in (128 + number, -number) and "Traceback" not in done.err
    assert not [pid for pid in pids if alive(pid)]


def test_long_output_shows_its_end_and_is_kept_whole_for_its_owner_alone(nanocode: Program) -> None:
    done = bash(nanocode, "seq 5000")
    *lines, notice = done.out.splitlines()
    assert lines == [str(number) for number in range(3001, 5001)]
    found = re.fullmatch(r"\[Showing lines 3001-5000 of 5000\. Full output: (.+)\]", notice)
    assert found
    path = Path(found[1])
    assert path.read_text() == "".join(f"{number}\n" for number in range(1, 5001))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_whole_outputs_of_a_week_ago_are_gone_with_the_next_one(nanocode: Program) -> None:
    folder, week = Path(nanocode.environ["TMPDIR"]), 7 * 24 * 3600
    ages = {"nanocode-old.log": week + 60, "nanocode-new.log": week - 3600, "other.log": 2 * week}
    for name, age in ages.items():
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    done = bash(nanocode, "seq 5000")
    kept = Path(done.out.rpartition("Full output: ")[2].rstrip("]\n"))
    assert set(folder.iterdir()) == {kept, folder / "nanocode-new.log", folder / "other.log"}


@measures_memory
@pytest.mark.parametrize("what", ["y", "a line without an end"])
def test_a_flood_of_output_stays_in_bounded_memory(nanocode: Program, what: str) -> None:
    source = "yes 0123456789" if what == "y" else "tr '\\0' x < /dev/zero"
    done = bash(nanocode, f"{source} | head -c {FLOOD}; echo; grep VmHWM /proc/$PPID/status")
    assert (done.code, done.err) == (0, "")
    assert len(done.out) < 60_000
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", done.out, re.MULTILINE)
    assert peak and int(peak[1]) < 100 << 10
    (spilled,) = (nanocode.root / "tmp").iterdir()
    assert spilled.stat().st_size > FLOOD


def test_a_long_line_beside_a_carriage_return_takes_no_longer_than_others(nanocode: Program) -> None:
    done = bash(nanocode, "printf 'one\\rtwo\\r\\n'; head -c 390000 /dev/zero | tr '\\0' x; echo; echo end")
    assert (done.code, done.out.splitlines()[0]) == (0, "end")


def test_a_full_disk_for_the_whole_output_does_not_fail_the_command(nanocode: Program) -> None:
    nanocode.environ["TMPDIR"] = "/dev/full"
    done = bash(nanocode, "seq 5000")
    assert done.code == 0 and done.out.splitlines()[-2] == "5000"
    assert "could not be kept" in done.out or "Full output: " in done.out


def test_mise_is_refreshed_first_where_it_is_installed(nanocode: Program) -> None:
    tools = nanocode.root / "bin"
    tools.mkdir()
    mise = tools / "mise"
    mise.write_text('#!/bin/sh\n[ "$*" = "env -s bash" ] && echo export FROM_MISE=1\n')
    mise.chmod(0o755)
    nanocode.environ["PATH"] = f"{tools}:{nanocode.environ['PATH']}"
    assert bash(nanocode, 'echo "<$FROM_MISE>"').out == "<1>\n"
    mise.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    assert bash(nanocode, 'echo "<$FROM_MISE>"').out == "<>\n"
    nanocode.environ["NANOCODE_MISE_HOT_RELOAD"] = "0"
    mise.write_text("#!/bin/sh\ntouch ran\n")
    bash(nanocode, "true")
    assert not (nanocode.cwd / "ran").exists()


def test_without_bash_it_is_sh(nanocode: Program) -> None:
    empty = nanocode.root / "empty"
    empty.mkdir()
    nanocode.environ["PATH"] = str(empty)
    assert bash(nanocode, 'echo "${BASH_VERSION:-sh}"').out in ("sh\n", bash(nanocode, "echo $BASH_VERSION").out)
