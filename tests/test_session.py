"""A session as a front end drives it: turns, interrupts, and questions beside them, over a model server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peer
import pytest
from peer import Gate, Peer, Script
from program import carried

from nanocode.agent.loop import CUT_SHORT
from nanocode.errors import CompactionError, UsageError
from nanocode.events import Event, MessageAdded, TextDelta
from nanocode.messages import Assistant
from nanocode.session import ASIDE, Session
from nanocode.settings import Settings
from nanocode.ui import window

KEY = "sk-test-0123456789"
OK = peer.reply(peer.text("ok"))


def drive(
    tmp_path: Path, script: Script, play: Callable[[Session, Peer, list[Event]], Awaitable[None]], **more: Any
) -> None:
    """Play a scene with a session that talks to a scripted server."""

    async def scene() -> None:
        with Peer(script) as server:
            environ = carried() | {"OPENAI_API_KEY": KEY}
            settings = Settings(
                tmp_path, tmp_path, environ, tmp_path / ".nanocode", base_url=server.url, tries=1, **more
            )
            events: list[Event] = []
            async with Session(settings, events.append) as session:
                await play(session, server, events)
            assert not server.unexpected

    asyncio.run(scene())


async def reached(gate: Gate) -> None:
    await asyncio.to_thread(gate.wait_until_reached)


async def heard(events: list[Event], text: str) -> None:
    while text not in "".join(event.text for event in events if isinstance(event, TextDelta)):
        await asyncio.sleep(0)


def test_an_interrupt_before_the_first_step_of_a_turn_keeps_its_prompt(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        turn = asyncio.create_task(session.submit("tell me"))
        await asyncio.sleep(0)
        assert session.working and session.interrupt()
        assert (await turn).stop_reason == "interrupted"
        assert [each.text for each in session.agent.history.messages] == ["tell me"] and not server.requests

    drive(tmp_path, [], play)


def test_the_model_is_told_once_that_its_answer_was_cut(tmp_path: Path) -> None:
    gate = Gate()
    script = [peer.reply(peer.text("half an", 1), gate), peer.reply(peer.text("yes")), peer.reply(peer.text("again"))]

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        turn = asyncio.create_task(session.submit("tell me"))
        await reached(gate)
        await heard(events, "half an")
        assert session.working and session.interrupt()
        assert (await turn).stop_reason == "interrupted"
        assert not session.working and not session.interrupt()
        gate.open()
        await session.submit("go on")
        await session.submit("and on")
        sent = [(each["role"], each["content"]) for each in server.requests[2].messages[1:]]
        assert sent == [
            ("user", "tell me"),
            ("assistant", "half an"),
            ("user", f"{CUT_SHORT}\n\ngo on"),
            ("assistant", "yes"),
            ("user", "and on"),
        ]

    drive(tmp_path, script, play)


def test_a_question_beside_a_turn_sees_the_history_and_leaves_no_trace(tmp_path: Path) -> None:
    gate = Gate()
    main, aside = [peer.reply(peer.call("bash", {"command": "echo hi"})), peer.reply(peer.text("a", 1), gate)], []

    def script(request: peer.Request) -> peer.Reply:
        if ASIDE in str(request.body["messages"][-1]["content"]):
            aside.append(request)
            return peer.reply(peer.text("beside"))
        return main.pop(0)

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        turn = asyncio.create_task(session.submit("work"))
        await reached(gate)
        before, seen = len(events), session.agent.history.messages
        own: list[Event] = []
        ended = await session.aside("what was it?", own.append)
        assert ended.text == "beside" and ended.stop_reason == "done"
        assert events[before:] == [each for each in events[before:] if isinstance(each, TextDelta)]
        assert session.agent.history.messages == seen
        assert (session.spent.turns, session.spent.usage.input) == (2, 200), "but what it used counts"
        assert "tools" not in aside[0].body
        assert [each["role"] for each in aside[0].messages] == ["system", "user", "assistant", "tool", "user"]
        gate.open()
        assert (await turn).text == "a"
        assert (session.spent.turns, session.last.turns) == (3, 2)
        saved = session.saved()
        assert (saved.turns, saved.usage) == (session.spent.turns, session.spent.usage)
        assert [type(each.message) for each in own if isinstance(each, MessageAdded)][-1] is Assistant
        assert not any(ASIDE in str(each) for each in session.agent.history.messages)

    drive(tmp_path, script, play)


def test_without_a_file_messages_are_taken_back_and_branched_off_in_memory(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        for number in range(2):
            await session.submit(f"prompt {number}")
        old = session.id
        session.fork()
        assert session.id != old and len(session.agent.history.messages) == 4
        assert session.rewind(1) == "prompt 1"
        assert [each.text for each in session.agent.history.messages] == ["prompt 0", "answer"]
        with pytest.raises(UsageError, match="1 of your messages"):
            session.rewind(2)

    drive(tmp_path, lambda request: peer.reply(peer.text("answer")), play, no_session=True)


def test_the_note_of_an_interrupt_goes_with_its_turn(tmp_path: Path) -> None:
    gate = Gate()
    script = [OK, peer.reply(peer.text("half"), gate, peer.text("whole")), OK, OK, OK]

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        await session.submit("one")
        turn = asyncio.create_task(session.submit("two"))
        await heard(events, "half")
        session.interrupt()
        await turn
        gate.open()
        session.rewind(1)
        await session.submit("three")
        assert server.requests[-1].messages[-1]["content"] == "three", "what was interrupted is no longer there"
        session.agent.cut_short = True
        await session.submit("four")
        assert session.rewind(1) == f"{CUT_SHORT}\n\nfour"
        await session.submit("five")
        assert server.requests[-1].messages[-1]["content"] == f"{CUT_SHORT}\n\nfive", "and here it is"

    drive(tmp_path, script, play)


def test_the_note_of_an_interrupt_stays_in_the_session_that_it_is_of(tmp_path: Path) -> None:
    gate = Gate()

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        turn = asyncio.create_task(session.submit("one"))
        await heard(events, "half")
        session.interrupt()
        await turn
        gate.open()
        session.clear()
        await session.submit("two")
        assert server.requests[-1].messages[-1]["content"] == "two"

    drive(tmp_path, [peer.reply(peer.text("half"), gate, peer.text("whole")), OK], play)


def test_a_fork_is_told_what_the_jobs_of_its_conversation_bring(tmp_path: Path) -> None:
    start = {"action": "start", "prompt": "look around", "background": True}

    def script(request: peer.Request) -> peer.Reply:
        if request.messages[-1]["content"] == "look around":
            return peer.reply(peer.text("seen"))
        return peer.reply(peer.call("nanocode", start)) if request.messages[-1]["content"] == "begin" else OK

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        arrived = asyncio.Event()
        await session.submit("begin")
        session.fork()
        session.on_news = arrived.set
        if not session.board.news:
            await arrived.wait()
        await session.catch_up()
        assert "seen" in str(session.agent.history.messages[-2])

    drive(tmp_path, script, play)


def test_memory_goes_on_as_it_was_sent_where_the_file_is_without_secrets(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        await session.submit(f"the key is {KEY}")
        await session.submit("two")
        session.rewind(1)
        assert session.agent.history.messages[0].text == f"the key is {KEY}"
        assert KEY not in session.transcript.data().decode()

    drive(tmp_path, [OK, OK], play)


def test_a_file_that_is_gone_takes_nothing_back(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        await session.submit("one")
        before = session.agent.history.messages
        assert session.transcript.path is not None
        session.transcript.path.rename(tmp_path / "away")
        with pytest.raises(UsageError, match="nothing is taken back"):
            session.rewind(1)
        assert session.agent.history.messages == before

    drive(tmp_path, [OK], play)


def test_a_question_with_tools_may_read_and_not_write_while_a_call_runs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("seen")
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done"
    main = [peer.reply(peer.call("bash", {"command": wait})), peer.reply(peer.text("done"))]
    aside = [peer.reply(peer.call("read", {"path": "a.txt"}, "other")), peer.reply(peer.text("it says seen"))]
    asked: list[peer.Request] = []

    def script(request: peer.Request) -> peer.Reply:
        if ASIDE not in str(request.messages):
            return main.pop(0)
        asked.append(request)
        return aside.pop(0)

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        turn = asyncio.create_task(session.submit("work"))
        while not any(event.type == "tool_start" for event in events):
            await asyncio.sleep(0)
        ended = await session.aside("what is in a.txt?", lambda event: None, tools=True)
        assert ended.text == "it says seen"
        names = {each["function"]["name"] for each in asked[0].body["tools"]}
        assert "read" in names and not names & {"write", "edit", "bash"}
        assert asked[0].messages[-2]["content"] == "[still running]"
        assert "seen" in asked[1].messages[-1]["content"]
        (tmp_path / "go").touch()
        assert (await turn).text == "done"

    drive(tmp_path, script, play)


SUMMARY = "## Goal\nall of it"


def long_talk() -> list[peer.Reply]:
    return [peer.reply(peer.text(f"answer {number} " + "word " * 400)) for number in range(4)]


def test_compacting_by_hand_takes_instructions_and_tells_before_and_after(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        for number in range(4):
            await session.submit(f"question {number} " + "word " * 400)
        done = await session.compact("keep the numbers")
        assert done is not None and done in events and done.after < done.before
        asked = server.requests[4]
        assert asked.messages[1]["content"].endswith("The user adds: keep the numbers")
        assert "question 0" in asked.messages[1]["content"] and "tools" not in asked.body
        await session.submit("and now?")
        sent = server.requests[5].messages
        assert SUMMARY in sent[1]["content"] and sent[-1]["content"] == "and now?" and len(sent) < 10

    drive(tmp_path, [*long_talk(), peer.reply(peer.text(SUMMARY)), peer.reply(peer.text("on"))], play)


def test_nothing_is_compacted_where_there_is_nothing(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        assert await session.compact() is None
        assert not server.requests

    drive(tmp_path, [], play)


def test_a_compaction_can_be_interrupted_and_leaves_the_conversation_as_it_was(tmp_path: Path) -> None:
    gate = Gate()

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        for number in range(4):
            await session.submit(f"question {number} " + "word " * 400)
        before = session.agent.history.messages
        work = asyncio.create_task(session.compact())
        await reached(gate)
        assert session.interrupt()
        with pytest.raises(CompactionError, match="interrupted"):
            await work
        gate.open()
        assert session.agent.history.messages is before and not session.working

    drive(tmp_path, [*long_talk(), peer.reply(peer.text("## Goal"), gate)], play)


def test_context_breaks_the_window_down(tmp_path: Path) -> None:
    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        desk = SimpleNamespace(session=session)
        first = await window.context(desk, "")
        assert "estimated" in first and "counted by the server" not in first
        await session.submit("hi " * 3000)
        rows = {
            line[:16].strip(): int(line[16:27].replace(",", ""))
            for line in (await window.context(desk, "")).splitlines()
        }
        assert (rows["window"], rows["threshold"]) == (262_144, 222_822)
        assert rows["used"] + rows["remaining"] == rows["window"]
        parts = ("system", "skills", "context files", "tools", "messages")
        assert sum(rows.get(name, 0) for name in parts) == rows["used"]
        assert rows["context files"] > 5 and rows["tools"] > 500 and rows["messages"] >= 3000

    (tmp_path / "AGENTS.md").write_text("Always write tests, and name them after what they say.\n")
    answer = peer.reply(peer.text("ok"))
    counted = replace(answer, parts=(*answer.parts[:-2], peer.usage(9000, 20), answer.parts[-1]))
    drive(tmp_path, [counted], play)


def test_a_job_that_ends_while_the_session_idles_is_told_once(tmp_path: Path) -> None:
    gate = Gate()

    def script(request: peer.Request) -> peer.Reply:
        first = request.messages[1]["content"]
        if first == "kid":
            return replace(peer.reply(peer.text("the kid's result")), held=gate)
        turn = sum(message["role"] == "assistant" for message in request.messages)
        return peer.reply(peer.call("nanocode", {"prompt": "kid", "background": True})) if turn == 0 else OK

    async def play(session: Session, server: Peer, events: list[Event]) -> None:
        news = asyncio.Event()
        session.on_news = news.set
        await session.submit("start it")
        assert await session.catch_up() is None and session.spent.turns == 2
        await reached(gate)
        gate.open()
        await news.wait()
        ended = await session.catch_up()
        assert ended is not None and "the kid's result" in str(ended.messages[0])
        assert await session.catch_up() is None, "it is told once"
        assert session.spent.usage.input == 400, "what the job used counts, once"
        await session.submit("and then?")
        assert str(server.requests[-1].messages).count("the kid's result") == 1
        session.clear()
        assert session.board.session == session.id

    drive(tmp_path, script, play)
