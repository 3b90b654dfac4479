"""A signal at every stage of a turn: the run ends by it, with a valid history and no process left."""

import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from peer import Gate, Peer, Reply, call, error, reasoning, reply, text
from program import Done, Program, alive, assert_grammar, finish, gone

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Turn:
    """A run of the program that is read line by line until its stage, then ended by a signal."""

    def __init__(self, nanocode: Program, peer: Peer) -> None:
        self.process = nanocode.at(peer.url).start("--mode", "json", "go")
        self._seen: list[bytes] = []

    def until(self, kind: str) -> dict[str, Any]:
        """Read up to the next event of a kind, and give it."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            self._seen.append(line)
            event: dict[str, Any] = json.loads(line)
            if event["type"] == kind:
                return event
        raise AssertionError(f"the run ended before `{kind}`")

    def end(self, number: int = signal.SIGINT) -> Done:
        """Send the signal; what must hold at every stage is checked here."""
        self.process.send_signal(number)
        rest = finish(self.process)
        done = Done(rest.code, b"".join(self._seen).decode() + rest.out, rest.err)
        assert done.code == 128 + number and "Traceback" not in done.err
        assert_grammar(done.events)
        assert done.events[-1]["stopReason"] == "interrupted"
        return done


def roles(done: Done) -> list[str]:
    return [message["role"] for message in done.events[-1]["messages"]]


def last(done: Done) -> dict[str, Any]:
    message: dict[str, Any] = done.events[-1]["messages"][-1]
    return message


@pytest.mark.parametrize("number", SIGNALS)
def test_before_the_first_byte_of_the_answer(nanocode: Program, number: int) -> None:
    gate = Gate()
    with Peer([replace(reply(text("never")), held=gate)]) as peer:
        turn = Turn(nanocode, peer)
        gate.wait_until_reached()
        done = turn.end(number)
        gate.open()
    assert roles(done) == ["user"]


HALF_A_CALL = call("bash", {"command": "touch ran"})[:2]
STAGES: dict[str, tuple[list[bytes], str, str]] = {
    "in its reasoning": (reasoning("so I think", 1), "reasoning_delta", ""),
    "in its text": (text("half of it", 1), "text_delta", "half of it"),
    "in a call": (HALF_A_CALL, "call_start", ""),
    "in a call after text": ([*text("I look", 1), *HALF_A_CALL], "call_start", "I look"),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", SIGNALS)
def test_in_the_middle_of_the_answer(nanocode: Program, stage: str, number: int) -> None:
    parts, kind, kept = STAGES[stage]
    gate = Gate()
    with Peer([reply(parts, gate, text("never"))]) as peer:
        turn = Turn(nanocode, peer)
        turn.until(kind)
        done = turn.end(number)
        gate.open()
    assert roles(done) == (["user", "assistant"] if kept else ["user"])
    if kept:
        assert (last(done)["text"], last(done)["calls"], last(done)["stop"]) == (kept, [], "interrupted")
    assert not (nanocode.cwd / "ran").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_in_a_command(nanocode: Program, number: int) -> None:
    fifo = nanocode.cwd / "fifo"
    os.mkfifo(fifo)
    command = {"command": "echo so far; sleep 600 & echo $! $$ > fifo; sleep 600"}
    after = call("bash", {"command": "touch ran"}, id="call_2", index=1)
    with Peer([reply(call("bash", command), after)]) as peer:
        turn = Turn(nanocode, peer)
        pids = fifo.read_text().split()
        done = turn.end(number)
    assert roles(done) == ["user", "assistant", "tool", "tool"]
    answers = done.events[-1]["messages"][2:]
    assert all(answer["failed"] and "interrupted" in answer["text"] for answer in answers)
    # What it had printed is known to the model, and shows.
    assert answers[0]["text"].startswith("so far\n[interrupted") and answers[1]["text"].startswith("[interrupted")
    assert [each["result"] for each in done.of("tool_end")] == [answers[0]["text"]]
    assert not [pid for pid in pids if alive(int(pid))]
    assert not (nanocode.cwd / "ran").exists()


def test_kill_9_in_a_command_ends_it_but_not_what_an_earlier_one_left_on_purpose(nanocode: Program) -> None:
    script = [
        reply(call("bash", {"command": "sleep 600 >&- 2>&- & echo $!"})),
        reply(call("bash", {"command": "trap '' TERM; sleep 600 & echo $! $$; sleep 600"})),
    ]
    with Peer(script) as peer:
        turn = Turn(nanocode, peer)
        (left,) = map(int, turn.until("tool_output")["text"].split())
        # What a command prints is read only once it is watched.
        running = [int(pid) for pid in turn.until("tool_output")["text"].split()]
        turn.process.kill()
        assert gone(running, 10)
        assert alive(left)
        os.kill(left, signal.SIGKILL)
        assert finish(turn.process).code == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's `/proc`")
@pytest.mark.parametrize("pattern", ["needle", r"\S+\s+\S+$"])
def test_in_a_search(nanocode: Program, pattern: str) -> None:
    # A file of 4 TB, of which the disk holds the start: it takes hours to search.
    with open(nanocode.cwd / "endless", "wb") as file:
        file.write(b"start " + b"a" * 4096)
        file.truncate(1 << 42)
    with Peer([reply(call("grep", {"pattern": pattern}))]) as peer:
        turn = Turn(nanocode, peer)
        turn.until("tool_start")
        before = bytes_read(turn.process.pid)
        while bytes_read(turn.process.pid) < before + (4 << 20):
            assert turn.process.poll() is None
        done = turn.end()
    assert roles(done) == ["user", "assistant", "tool"]
    assert last(done)["failed"] and "interrupted" in last(done)["text"]


def bytes_read(pid: int) -> int:
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["rchar"])


@pytest.mark.parametrize("number", SIGNALS)
def test_in_the_pause_before_another_try(nanocode: Program, number: int) -> None:
    nanocode.environ["NANOCODE_RETRY_SECONDS"] = "60"
    with Peer([error(500, "out of order")]) as peer:
        turn = Turn(nanocode, peer)
        turn.until("retry")
        done = turn.end(number)
    assert roles(done) == ["user"]


def test_while_it_connects(nanocode: Program) -> None:
    # A port whose backlog is full: the connection is neither made nor refused.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        with Peer([]) as peer:
            nanocode.at(peer.url)
        nanocode.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{port}/v1"
        process = nanocode.start("--mode", "json", "go")
        assert process.stdout is not None
        process.stdout.readline(), process.stdout.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        done = finish(process)
        for each in waiting:
            each.close()
    assert done.code == 130 and "Traceback" not in done.err


def test_a_second_signal_does_no_harm(nanocode: Program) -> None:
    fifo = nanocode.cwd / "fifo"
    os.mkfifo(fifo)
    command = {"command": "trap '' TERM; echo $$ > fifo; while :; do sleep 600; done"}
    with Peer([reply(call("bash", command))]) as peer:
        turn = Turn(nanocode, peer)
        pid = fifo.read_text().strip()
        turn.process.send_signal(signal.SIGINT)
        done = turn.end()
    assert roles(done) == ["user", "assistant", "tool"]
    assert not alive(int(pid))


def test_the_reader_of_text_output_sees_no_half_answer(nanocode: Program) -> None:
    gate = Gate()
    with Peer([Reply((*text("half of it"), gate))]) as peer:
        process = nanocode.at(peer.url).start("--print", "go")
        gate.wait_until_reached()
        process.send_signal(signal.SIGINT)
        done = finish(process)
        gate.open()
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "nanocode: interrupted"
