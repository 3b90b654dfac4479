"""Sessions on disk as they outlive the process: killed, full, opened twice, found again, and the same bytes sent on."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import peer
import pytest
from peer import Gate, Peer, Reply, Request
from program import PATIENCE, Done, Program, assert_answered, finish
from tmux import needs_tmux, terminal

from nanocode.agent.repair import LOST

TURNS = 6
# Each chain is one session that is killed so often, and continued so often: fifty moments in all.
CHAINS, KILLS = 10, 5
# About what the scripted run prints; a moment behind its end kills nothing and must be as good.
LINES = 90


def sessions(program: Program) -> list[Path]:
    return sorted(program.home.glob(".nanocode/sessions/*/*.jsonl"))


def answers(request: Request) -> int:
    return sum(message["role"] == "assistant" for message in request.messages)


def work(request: Request) -> Reply:
    """Two calls an answer, with words and without, then a last word; to `go on` that alone."""
    prompt = max(place for place, message in enumerate(request.messages) if message["role"] == "user")
    turn = sum(message["role"] == "assistant" for message in request.messages[prompt:])
    if request.messages[-1] == {"role": "user", "content": "go on"} or turn == TURNS:
        return peer.reply(peer.text("all of it"))
    calls = peer.call("bash", {"command": f"echo one {turn}"}, f"a{turn}") + peer.call(
        "read", {"path": "notes.txt"}, f"b{turn}", 1
    )
    return peer.reply(peer.text(f"step {turn} ", 2) if turn % 2 else b"", calls)


def said(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["role"], each["content"] or "") for each in messages if each["role"] != "system"]


def assert_valid(request: Request) -> None:
    """Every call of a request is answered, as its server would insist."""
    plain: list[dict[str, Any]] = []
    for each in request.messages:
        calls = [{"id": call["id"]} for call in each.get("tool_calls", ())]
        plain.append({"role": each["role"], "call_id": each.get("tool_call_id"), "calls": calls})
    assert_answered(plain)


def killed_after(program: Program, lines: int, *words: str) -> list[tuple[str, str]]:
    """Run the script, kill it behind that many lines; the messages that it has printed whole."""
    process = program.start("--mode", "json", *words)
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    # `communicate` would pass over what is buffered here.
    printed += process.stdout.readlines()
    finish(process)
    events = [json.loads(line) for line in printed if line.endswith(b"\n")]
    return [(each["role"], each["text"]) for each in events if each["type"] == "message_end"]


def by_prompt(messages: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Each prompt with all that follows up to the next one."""
    found: dict[str, list[tuple[str, str]]] = {}
    for role, text in messages:
        if role == "user":
            part = found[text] = []
        part.append((role, text))
    return found


@pytest.mark.parametrize("chain", range(CHAINS))
def test_after_kill_9_the_session_goes_on_with_all_that_was_printed(nanocode: Program, chain: int) -> None:
    (nanocode.cwd / "notes.txt").write_text("a note\n")
    moments = random.Random(chain).sample(range(1, LINES), KILLS)
    with Peer(work) as server:
        nanocode.at(server.url)
        printed = [killed_after(nanocode, moments[0], "part 0")]
        printed += [killed_after(nanocode, lines, "--continue", f"part {n}") for n, lines in enumerate(moments[1:], 1)]
        done = nanocode.run("--mode", "json", "--continue", "go on")
        assert done.code == 0, done.err
    for request in server.requests:
        assert_valid(request)
    sent = by_prompt(said(server.requests[-1].messages))
    assert list(sent)[-1] == "go on" and sent["go on"] == [("user", "go on")]
    for number, before in enumerate(printed):
        after = sent.get(f"part {number}", [])
        assert after[: len(before)] == before
        for role, text in after[len(before) :]:
            assert role != "tool" or text == LOST or "one" in text or "a note" in text
    records = [json.loads(line) for path in sessions(nanocode) for line in path.read_bytes().splitlines()]
    assert records[0]["type"] == "session" and len({record.get("id") for record in records}) == len(records)


def test_a_call_that_kill_9_cut_off_is_answered_as_lost(nanocode: Program) -> None:
    command = "echo begun; until [ -e go ]; do sleep 0.02; done"
    calls = peer.call("bash", {"command": command}) + peer.call("bash", {"command": "echo never"}, "call_2", 1)
    with Peer([peer.reply(peer.text("I wait"), calls), peer.reply(peer.text("on"))]) as server:
        process = nanocode.at(server.url).start("--mode", "json", "wait")
        assert process.stdout is not None
        while b'"tool_output"' not in process.stdout.readline():
            pass
        process.kill()
        # What the killed one had started may live on; it ends here.
        (nanocode.cwd / "go").touch()
        process.communicate(timeout=PATIENCE)
        assert nanocode.run("--continue", "go on").out == "on\n"
    last = server.requests[-1]
    assert_valid(last)
    assert said(last.messages)[1:] == [("assistant", "I wait"), ("tool", LOST), ("tool", LOST), ("user", "go on")]


@pytest.mark.parametrize("missing", [1, 2, 40], ids=lambda count: f"{count} bytes")
def test_a_torn_tail_is_cut_off_and_the_next_records_are_whole(nanocode: Program, missing: int) -> None:
    with Peer([peer.reply(peer.text(word)) for word in ("first", "second", "third")]) as server:
        nanocode.at(server.url).run("one")
        path = sessions(nanocode)[0]
        with open(path, "ab") as file:
            file.write(path.read_bytes().splitlines(keepends=True)[-1][:-missing])
        assert nanocode.run("--continue", "two").out == "second\n"
        assert nanocode.run("--continue", "three").out == "third\n"
        assert [text for _, text in said(server.requests[2].messages)] == ["one", "first", "two", "second", "three"]
    assert all(isinstance(json.loads(line), dict) for line in path.read_bytes().splitlines())


def test_a_session_that_is_open_elsewhere_is_refused_in_words(nanocode: Program) -> None:
    gate = Gate()
    with Peer([peer.reply(peer.text("one")), peer.reply(peer.text("two", 1), gate)]) as server:
        nanocode.at(server.url).run("first")
        (path,) = sessions(nanocode)
        before = path.read_bytes()
        open_one = nanocode.start("--continue", "second")
        gate.wait_until_reached()
        for flags in (["--continue"], ["--session", str(path)], ["--resume", path.stem.rpartition("_")[2]]):
            refused = nanocode.run(*flags, "third")
            assert (refused.code, refused.out) == (2, "")
            assert "is open in another nanocode" in refused.err and "hint:" in refused.err
        gate.open()
        assert finish(open_one).out == "two\n"
        assert path.read_bytes().startswith(before) and b"third" not in path.read_bytes()
        assert len(server.requests) == 2


def limited(program: Program, *arguments: str, blocks: int) -> Done:
    """Run where no file can grow beyond that many blocks of 512 bytes, as on a disk that is full."""
    program.before = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"]
    try:
        return program.run(*arguments)
    finally:
        program.before = []


@pytest.mark.parametrize("blocks", [0, 4])
def test_a_full_disk_gives_one_warning_and_the_turn_goes_on(nanocode: Program, blocks: int) -> None:
    (nanocode.cwd / "notes.txt").write_text("a note\n" * 40)
    with Peer(work) as server:
        full = limited(nanocode.at(server.url), "begin", blocks=blocks)
        assert (full.code, full.out) == (0, "all of it\n"), full.err
        assert full.err.count("the session is not saved") == 1 and "saved again" not in full.err
        assert answers(server.requests[-1]) == TURNS
        kept = b"".join(path.read_bytes() for path in sessions(nanocode))
        assert len(kept) <= blocks * 1024 and (not kept or kept.endswith(b"\n"))
        assert nanocode.run("--continue", "go on").code == 0
    assert_valid(server.requests[-1])
    assert (("user", "begin") in said(server.requests[-1].messages)) == bool(kept)


def test_a_session_is_found_by_id_by_path_and_not_at_all(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text(f"answer {number}")) for number in range(7)]) as server:
        nanocode.at(server.url).run("one")
        (first,) = sessions(nanocode)
        id = first.stem.rpartition("_")[2]
        nanocode.run("two")
        for flags in (["--resume", id[:6]], ["--session", id], ["--session", str(first)]):
            assert nanocode.run(*flags, "more").code == 0
            assert said(server.requests[-1].messages)[:2] == [("user", "one"), ("assistant", "answer 0")]
        nanocode.run("--continue", "on")
        assert said(server.requests[-1].messages)[0] == ("user", "one"), "the last one used goes on"
        assert nanocode.run("--session", "new.jsonl", "here").code == 0
        assert b'"here"' in (nanocode.cwd / "new.jsonl").read_bytes()
    for flags in (["--resume", "ffff0000"], ["--session", "ffff0000"], ["--resume"]):
        wrong = nanocode.run(*flags, "more")
        assert (wrong.code, wrong.out) == (2, "") and "hint:" in wrong.err
    assert len(sessions(nanocode)) == 2


@pytest.mark.parametrize(
    "left", ["", '{"type":"sess', '{"type":"session","version":1,"id":"ab'], ids=["empty", "torn", "cut"]
)
def test_a_file_whose_first_line_is_not_whole_begins_a_session(nanocode: Program, left: str) -> None:
    path = nanocode.cwd / "own.jsonl"
    path.write_text(left)
    with Peer([peer.reply(peer.text("one")), peer.reply(peer.text("two"))]) as server:
        assert nanocode.at(server.url).run("--session", "own.jsonl", "first").out == "one\n"
        assert nanocode.run("--session", "own.jsonl", "second").out == "two\n"
    assert [text for _, text in said(server.requests[-1].messages)] == ["first", "one", "second"]
    assert json.loads(path.read_bytes().splitlines()[0])["title"] == "first"


@pytest.mark.parametrize("content", ["{}\n", "notes", "{}"])
def test_a_file_that_is_no_session_is_left_as_it_is(nanocode: Program, content: str) -> None:
    (nanocode.cwd / "own.jsonl").write_text(content)
    done = nanocode.at("http://127.0.0.1:9/v1").run("--session", "own.jsonl", "first")
    assert done.code == 2 and "is not a session" in done.err
    assert (nanocode.cwd / "own.jsonl").read_text() == content


def test_no_session_leaves_nothing_and_goes_on_with_nothing(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text("one")), peer.reply(peer.text("two"))]) as server:
        assert nanocode.at(server.url).run("--no-session", "first").code == 0
        assert not sessions(nanocode)
        done = nanocode.run("--continue", "second")
        assert (done.code, done.out) == (0, "two\n") and "no earlier session" in done.err
        assert said(server.requests[1].messages) == [("user", "second")]


@needs_tmux
def test_no_session_goes_on_with_an_earlier_one_and_leaves_it_as_it_is(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text(word)) for word in ("one", "two", "three")]) as server:
        nanocode.at(server.url).run("first")
        (path,) = sessions(nanocode)
        before = path.read_bytes()
        for flags in (["--continue"], ["--session", str(path)]):
            assert nanocode.run("--no-session", *flags, "aside").code == 0
            asked = [text for _, text in said(server.requests[-1].messages)]
            assert asked == ["first", "one", "aside"]
    assert sessions(nanocode) == [path] and path.read_bytes() == before


def test_resume_without_an_id_lets_a_person_choose(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text("blue")), peer.reply(peer.text("red")), peer.reply(peer.text("green"))]) as server:
        nanocode.at(server.url).run("what is the sky?")
        nanocode.run("what is blood?")
        with terminal(nanocode, "--resume") as it:
            it.wait_for("number:")
            assert "1. what is blood?" in it.screen() and "2. what is the sky?" in it.screen()
            it.say("2")
            it.wait_for("⏺ blue")
            assert "❯ what is the sky?" in it.screen(), "who comes back sees where the work stood"
            it.wait_idle()
            it.say("and grass?")
            it.wait_for("⏺ green")
        assert [text for _, text in said(server.requests[2].messages)] == ["what is the sky?", "blue", "and grass?"]


@needs_tmux
def test_a_session_is_resumed_by_its_name_and_deleted_by_its_id_only(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text("blue")), peer.reply(peer.text("red"))]) as server:
        nanocode.at(server.url).run("what is the sky " + "like, seen from far away " * 8)
        nanocode.run("what is blood?")
    with terminal(nanocode, columns=100) as it:
        it.wait_idle()
        it.say("/resume")
        screen = it.wait_for("sessions of this folder")
        assert screen.count("· test-model ·") == 2, "a long title leaves room for the facts"
        it.keys("Escape")
        it.wait(lambda screen: "sessions of this folder" not in screen)
        it.say("/resume the sky")
        it.wait_for("⏺ blue")
        it.say("/resume name of heaven")
        it.wait_for("this session is now")
        it.say("/c")
        it.wait_for("a new session begins")
        it.say("/resume delete of heaven")
        it.wait_for("is deleted by its id only")
        it.say("/resume OF HEAVEN")
        it.wait(lambda screen: screen.count("⏺ blue") == 2)
    assert len(sessions(nanocode)) == 2


@needs_tmux
def test_messages_are_taken_back_and_the_session_goes_on_from_there(nanocode: Program) -> None:
    script = (peer.reply(peer.text(f"answer {number}")) for number in range(9))
    with Peer(lambda request: next(script)) as server:
        with terminal(nanocode.at(server.url)) as it:
            for number in range(3):
                it.wait_idle()
                it.say(f"prompt {number}")
                it.wait_for(f"⏺ answer {number}")
            it.wait_idle()
            it.say("/rewind 4")
            it.wait_for("3 of your messages can be taken back, not 4")
            for odd in ("x", "9" * 5000):
                it.paste(f"/rewind {odd}")
                it.keys("Enter")
                it.wait_for(f"`/rewind {odd[:40]}`: how many messages back?")
            it.say("/rewind 2")
            it.wait_for("taken back: prompt 1")
            assert it.everything().count("⏺ answer 0") == 2, "it shows where the conversation stands now"
            it.say("another way")
            it.wait_for("⏺ answer 3")
        asked = ["prompt 0", "answer 0", "another way"]
        assert [text for _, text in said(server.requests[-1].messages)] == asked
        nanocode.run("--continue", "and on")
        assert [text for _, text in said(server.requests[-1].messages)] == [*asked, "answer 3", "and on"]
        with terminal(nanocode, "--continue") as it:
            it.wait_for("⏺ answer 4")
            it.say("/rewind 3")
            it.wait_for("taken back: prompt 0")
        done = nanocode.run("--continue", "anew")
        assert "going on with session" in done.err and "0 messages" in done.err
        assert [text for _, text in said(server.requests[-1].messages)] == ["anew"]
    assert len(sessions(nanocode)) == 1
    assert "prompt 1" in sessions(nanocode)[0].read_text(), "what was taken back is kept beside it"


@needs_tmux
def test_a_session_is_branched_off_and_the_old_one_stays(nanocode: Program) -> None:
    script = (peer.reply(peer.text(f"answer {number}")) for number in range(9))
    with Peer(lambda request: next(script)) as server:
        with terminal(nanocode.at(server.url), columns=100) as it:
            it.wait_idle()
            it.say("/fork")
            it.wait_for("there is nothing to branch off from yet")
            it.say("prompt 0")
            it.wait_for("⏺ answer 0")
            it.wait_idle()
            (old,) = sessions(nanocode)
            before = old.read_bytes()
            it.say("/fork")
            it.wait_for("the one that it came from")
            it.say("another way")
            it.wait_for("⏺ answer 1")
            it.wait_idle()
            asked = ["prompt 0", "answer 0", "another way"]
            assert [text for _, text in said(server.requests[-1].messages)] == asked
            assert old.read_bytes() == before
            it.say("/resume")
            assert "prompt 0 · " in it.wait_for("sessions of this folder")
            it.keys("Enter")
            it.wait_for("going on with session")
            it.say("/resume fork of prompt 0")
            it.wait(lambda screen: screen.count("going on with session") == 2)
        assert len(sessions(nanocode)) == 2


def prefix(request: Request) -> bytes:
    """The body up to the end of the last message; the quote behind `]` stands in no text, where it is escaped."""
    return request.raw[: request.raw.index(b'],"stream"')]


def assert_prefixes(requests: list[Request]) -> None:
    for before, after in pairwise(requests):
        assert after.raw.startswith(prefix(before)) and len(prefix(after)) > len(prefix(before))
        assert after.raw[len(prefix(after)) :] == before.raw[len(prefix(before)) :], "tools and options move too"


def test_ten_continued_runs_send_the_same_bytes_on(nanocode: Program) -> None:
    (nanocode.cwd / "AGENTS.md").write_text("Be brief.\n")
    with Peer(lambda request: peer.reply(peer.reasoning("hm"), peer.text(f"answer {answers(request)} ü"))) as server:
        nanocode.at(server.url).run("question 0")
        for number in range(1, 10):
            assert nanocode.run("--continue", f'question {number} "ö" ],"stream"').code == 0
    assert len(server.requests) == 10 and len(server.requests[-1].messages) == 20
    assert_prefixes(server.requests)


def test_ten_rounds_of_calls_send_the_same_bytes_on(nanocode: Program) -> None:
    def script(request: Request) -> Reply:
        turn = answers(request)
        # A file that appears, and a command that fails, change nothing of what was said before.
        calls = peer.call("write", {"path": f"{turn}.md", "content": "x"}, f"a{turn}") + peer.call(
            "bash", {"command": f"ls; exit {turn % 2}"}, f"b{turn}", 1
        )
        return peer.reply(peer.text("the end")) if turn == 10 else peer.reply(peer.reasoning("so"), calls)

    with Peer(script) as server:
        assert nanocode.at(server.url).run("begin").out == "the end\n"
    assert len(server.requests) == 11
    assert_prefixes(server.requests)
