"""A session as a front end drives it: turns, interrupts, and questions beside them, over a model server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import peer
from peer import Gate, Peer, Script

from nanocode.agent.loop import CUT_SHORT
from nanocode.events import Event, MessageAdded, TextDelta
from nanocode.messages import Assistant
from nanocode.session import ASIDE, Session
from nanocode.settings import Settings


def drive(tmp_path: Path, script: Script, play: Callable[[Session, Peer, list[Event]], Awaitable[None]]) -> None:
    """Play a scene with a session that talks to a scripted server."""

    async def scene() -> None:
        with Peer(script) as server:
            settings = Settings(
                tmp_path, tmp_path, {"OPENAI_API_KEY": "sk-test"}, tmp_path / ".nanocode", base_url=server.url, tries=1
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
        assert "tools" not in aside[0].body
        assert [each["role"] for each in aside[0].messages] == ["system", "user", "assistant", "tool", "user"]
        gate.open()
        assert (await turn).text == "a"
        assert [type(each.message) for each in own if isinstance(each, MessageAdded)][-1] is Assistant
        assert not any(ASIDE in str(each) for each in session.agent.history.messages)

    drive(tmp_path, script, play)


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
