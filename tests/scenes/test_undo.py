"""`/undo`, `/redo` and `/diff` in the real program, in a folder that git knows nothing of."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import peer
import pytest
from peer import Peer, Reply
from program import Program
from tmux import Terminal, needs_tmux, terminal

pytestmark = needs_tmux

OLD = b"one\r\ntwo \xff\x00three\r\n"
NOTES = "alpha\nbeta\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def turn(word: str, *calls: list[bytes]) -> Iterator[Reply]:
    """A turn of these calls that ends with a word."""
    yield peer.reply(*calls)
    yield peer.reply(peer.text(word, 1))


def write(path: str, content: str, id: str = "call_1", index: int = 0) -> list[bytes]:
    return peer.call("write", {"path": path, "content": content}, id, index)


def edit(path: str, old: str, new: str) -> list[bytes]:
    return peer.call("edit", {"path": path, "edits": [{"oldText": old, "newText": new}]})


def ask(it: Terminal, line: str, answer: str) -> None:
    """Say a line and wait for its answer at the prompt."""
    it.wait_idle()
    it.say(line)
    # Until the line is on the screen, all of it is what was said before.
    it.wait(lambda screen: f"❯ {line}" in screen and answer in screen.rpartition(f"❯ {line}")[2])


@pytest.fixture(params=["dumb", "screen-256color"])
def nanocode(tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    """The program in the front end that only scrolls, and in the one that paints."""
    return Program(tmp_path, {"TERM": request.param})


def test_two_undos_restore_bytes_modes_and_absence(nanocode: Program) -> None:
    a, b, blob = (nanocode.cwd / name for name in ("a.txt", "new/deep/b.txt", "blob"))
    a.write_text(NOTES)
    a.chmod(0o751)
    blob.write_bytes(OLD)
    blob.chmod(0o640)
    script = [
        *turn("edited", edit("a.txt", "beta", "gamma")),
        *turn("created", write("new/deep/b.txt", "fresh\n") + write("blob", "text\n", "call_2", 1)),
    ]
    with Peer(script) as server, terminal(nanocode.at(server.url), columns=100) as it:
        ask(it, "edit it", "⏺ edited")
        ask(it, "create it", "⏺ created")
        assert (a.read_text(), b.read_text(), blob.read_text()) == ("alpha\ngamma\n", "fresh\n", "text\n")
        ask(it, "/undo", "turn 2 is undone")
        assert blob.read_bytes() == OLD and mode(blob) == 0o640
        assert not (nanocode.cwd / "new").exists(), "the folders it made are gone too"
        assert a.read_text() == "alpha\ngamma\n", "one turn at a time"
        ask(it, "/undo", "turn 1 is undone")
        assert a.read_text() == NOTES and mode(a) == 0o751
        ask(it, "/undo", "there is nothing to undo")
        ask(it, "/redo", "turn 1 is done again")
        ask(it, "/redo", "turn 2 is done again")
        assert (a.read_text(), b.read_text(), blob.read_text()) == ("alpha\ngamma\n", "fresh\n", "text\n")
        ask(it, "/redo", "there is nothing to redo")


def test_the_model_is_told_which_files_are_no_longer_as_it_left_them(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_text(NOTES)
    script = [
        *turn("edited", edit("a.txt", "beta", "gamma") + write("b.txt", "fresh\n", "call_2", 1)),
        peer.reply(peer.text("on")),
        peer.reply(peer.text("further")),
    ]
    with Peer(script) as server, terminal(nanocode.at(server.url), columns=100) as it:
        ask(it, "edit it", "⏺ edited")
        ask(it, "/undo", "turn 1 is undone")
        ask(it, "go on", "⏺ on")
        ask(it, "/redo", "turn 1 is done again")
        ask(it, "and on", "⏺ further")
        assert "[The user" not in it.everything(), "it is for the model"
    told = [each["content"] for each in server.requests[-1].messages if each["role"] == "user"]
    assert told[0::2] == ["edit it", "go on", "and on"]
    assert "took back" in told[1] and "restored a.txt" in told[1] and "removed b.txt" in told[1]
    assert "did again" in told[3] and "restored a.txt" in told[3] and "created b.txt" in told[3]


def test_a_later_change_by_hand_is_left_alone_and_named(nanocode: Program) -> None:
    a, b = nanocode.cwd / "a.txt", nanocode.cwd / "b.txt"
    a.write_text(NOTES)
    script = turn("done", write("a.txt", "by the model\n") + write("b.txt", "b\n", "call_2", 1))
    with Peer([*script]) as server, terminal(nanocode.at(server.url), columns=100) as it:
        ask(it, "go", "⏺ done")
        a.write_text("by hand\n")
        ask(it, "/undo", "changed after that turn")
        assert "a.txt" in it.screen().rpartition("❯ /undo")[2]
        assert (a.read_text(), b.read_text()) == ("by hand\n", "b\n"), "all of a turn or none of it"
        a.write_text("by the model\n")
        ask(it, "/undo", "turn 1 is undone")
        assert a.read_text() == NOTES and not b.exists()
        b.write_text("mine\n")
        ask(it, "/redo", "changed after that turn")
        assert (a.read_text(), b.read_text()) == (NOTES, "mine\n")


def test_what_bash_did_is_not_covered_and_said(nanocode: Program) -> None:
    calls = write("a.txt", "x\n") + peer.call("bash", {"command": "echo y > by-bash.txt"}, "call_2", 1)
    with Peer([*turn("done", calls)]) as server, terminal(nanocode.at(server.url), columns=100) as it:
        ask(it, "go", "⏺ done")
        ask(it, "/diff", "bash (1x)")
        assert re.search(r"\+ ?x$", it.screen(), re.MULTILINE) and "by-bash" not in it.screen().rpartition("❯ /diff")[2]
        ask(it, "/undo", "bash (1x)")
        assert not (nanocode.cwd / "a.txt").exists() and (nanocode.cwd / "by-bash.txt").read_text() == "y\n"


def test_a_run_that_ended_can_be_undone_by_the_next(nanocode: Program) -> None:
    a = nanocode.cwd / "a.txt"
    a.write_text(NOTES)
    with Peer([*turn("one", edit("a.txt", "alpha", "omega")), *turn("two", write("b.txt", "b\n"))]) as server:
        assert nanocode.at(server.url).run("first").code == 0
        assert nanocode.run("--continue", "second").code == 0
        with terminal(nanocode, "--continue", columns=100) as it:
            ask(it, "/diff all", "a.txt")
            screen = it.wait_idle().rpartition("❯ /diff all")[2].replace("+ ", "+")
            assert "+omega" in screen and "+b" in screen and "b.txt" in screen and "- --" not in screen
            ask(it, "/undo", "turn 2 is undone")
            ask(it, "/undo", "turn 1 is undone")
        assert a.read_text() == NOTES and not (nanocode.cwd / "b.txt").exists()
        with terminal(nanocode, "--continue", columns=100) as it:
            ask(it, "/redo", "turn 1 is done again")
        assert a.read_text() == "omega\nbeta\n"
