"""What keys and lines do: prompt_toolkit's own pipe as the keyboard, a screen nobody sees, a scripted model server."""

import asyncio
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path

import peer
import pytest
from peer import Gate, Peer, Script
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input

from nanocode.session import Session
from nanocode.settings import Settings
from nanocode.ui.markdown import uncolored
from nanocode.ui.repl import Repl
from nanocode.ui.story import Story
from nanocode.ui.terminal import Painter, Screen


class Desk:
    """A REPL with its keyboard. `shown` is all that was printed above the prompt, `written` what the terminal got."""

    def __init__(
        self, session: Session, repl: Repl, keyboard: PipeInput, server: Peer, shown: list[str], written: StringIO
    ) -> None:
        self.session, self.repl, self.server, self._shown, self._keyboard = session, repl, server, shown, keyboard
        self.written = written

    @property
    def shown(self) -> str:
        return "\n".join(self._shown)

    def press(self, keys: str) -> None:
        self._keyboard.send_text(keys)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(peer.PATIENCE):
            while not holds():
                await asyncio.sleep(0)

    async def prompt_is(self, text: str) -> None:
        await self.until(lambda: self.repl.buffer.text == text)

    async def says(self, text: str) -> None:
        await self.until(lambda: text in self.shown)

    def users(self, number: int) -> list[str]:
        return [each["content"] for each in self.server.requests[number].messages if each["role"] == "user"]


Play = Callable[[Desk], Awaitable[None]]


def play(root: Path, scene: Play, script: Script = (), environ: dict[str, str] | None = None) -> int:
    """Run a scene in a REPL, which ends by Ctrl-D where the scene has not ended it; the exit code."""

    async def run(server: Peer, keyboard: PipeInput) -> int:
        environment = {"OPENAI_API_KEY": "sk-test", "PATH": "/usr/bin:/bin"} | (environ or {})
        settings = Settings(root, root, environment, root / ".nanocode", base_url=server.url, tries=1)
        shown: list[str] = []
        written = StringIO()
        output = Screen(written, lambda: Size(rows=30, columns=80))
        painter = Painter(output, color=False)
        story = Story(
            lambda rows: shown.extend("".join(text for _, text in row) for row in rows),
            painter.soon,
            lambda: 80,
            uncolored,
            thinking=True,
            tools=True,
        )
        async with Session(settings, story) as session:
            repl = Repl(session, story, painter, InMemoryHistory(), keyboard, output)
            running = asyncio.create_task(repl.run())
            desk = Desk(session, repl, keyboard, server, shown, written)
            await scene(desk)
            keyboard.send_text("\x03\x04")
            async with asyncio.timeout(peer.PATIENCE):
                return await running

    with Peer(script) as server, create_pipe_input() as keyboard:
        return asyncio.run(run(server, keyboard))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("one\x1b\rtwo", "one\ntwo"),
        ("one\ntwo", "one\ntwo"),
        ("one\\\rtwo", "one\ntwo"),
        ("\x1b[200~a\rb\r\nc\x1b[201~", "a\nb\nc"),
        ("\x1b[200~" + "x\r" * 9 + "\x1b[201~ end", "[paste #1 +10 lines] end"),
        ("abc\x17def", "def"),
    ],
)
def test_keys_write_into_the_prompt(tmp_path: Path, keys: str, text: str) -> None:
    async def scene(desk: Desk) -> None:
        desk.press(keys)
        await desk.prompt_is(text)
        assert not desk.server.requests

    assert play(tmp_path, scene) == 0


def test_ctrl_c_clears_then_interrupts_and_only_twice_on_an_empty_prompt_leaves(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        desk.press("not sent \x1b[200~" + "x\r" * 9 + "\x1b[201~")
        await desk.prompt_is("not sent [paste #1 +10 lines]")
        desk.press("\x03")
        await desk.prompt_is("")
        assert desk.session.working
        desk.press("\x03")
        await desk.says("interrupted")
        await desk.until(lambda: not desk.repl.working)
        # What was cleared can be had again, also in a session that does not know the paste.
        assert desk.repl.buffer.history.get_strings() == ["start", "not sent " + "x\n" * 9]
        gate.open()
        desk.press("\x03\x03")

    assert play(tmp_path, scene, [peer.reply(gate)]) == 130


@pytest.mark.filterwarnings("error")
def test_ctrl_c_right_behind_enter_interrupts_a_turn_that_has_the_words(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        desk.press("start\r\x03")
        await desk.says("interrupted")
        assert [each.text for each in desk.session.agent.history.messages] == ["start"]

    assert play(tmp_path, scene) == 0


def test_esc_interrupts_and_leaves_the_typed_text(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        desk.press("half typed")
        await desk.prompt_is("half typed")
        desk.press("\x1b")
        await desk.says("interrupted")
        assert desk.repl.buffer.text == "half typed"
        gate.open()

    play(tmp_path, scene, [peer.reply(gate)])


def test_input_at_any_moment_reaches_the_model_in_order(tmp_path: Path) -> None:
    script = [peer.reply(peer.text(f"answer {number}")) for number in range(40)]

    async def scene(desk: Desk) -> None:
        for number in range(30):
            desk.press(f"line {number};\r")
            for _ in range(number * 7 % 31):
                await asyncio.sleep(0)
        await desk.until(lambda: "line 29;" in str(desk.session.agent.history.messages) and not desk.repl.working)
        said = desk.users(-1)
        assert said == [f"line {number};" for number in range(30)]

    play(tmp_path, scene, script)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/modle", "did you mean `/model`?"),
        ("/steer", "`/steer` needs a message"),
        ("/btw", "`/btw` needs a question"),
        ("/dequeue", "nothing is queued"),
        ("/dequeue all", "`/dequeue all` is unknown"),
        ("/queue", "nothing is queued"),
        ("/last", "there is no such result"),
        ("/last x", "how many calls back?"),
        ("/copy", "there is no answer to copy yet"),
        ("/help", "/dequeue [edit]"),
        ("/help", "Ctrl-X Ctrl-E"),
        ("/tools", "grep: Search files"),
        ("!false", "exit code 1"),
    ],
)
def test_a_line_that_is_not_for_the_model(tmp_path: Path, line: str, words: str) -> None:
    async def scene(desk: Desk) -> None:
        desk.press(f"{line}\r")
        await desk.says(words)
        assert not desk.server.requests

    assert play(tmp_path, scene) == 0


def test_what_help_says_fits_a_terminal_of_80_columns_in_two_aligned_columns(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        desk.press("/help\r")
        await desk.says("without telling")
        rows = desk.shown.partition("/help")[2].splitlines()[1:]
        more = [row for row in rows if row.startswith(" ")]
        assert more and max(map(len, rows)) < 80
        assert all(row.startswith(" " * 30) and row[30] != " " for row in more)

    play(tmp_path, scene)


@pytest.mark.parametrize("line", ["/etc/hosts is what?", "! ", "a /help b"])
def test_a_line_that_is(tmp_path: Path, line: str) -> None:
    async def scene(desk: Desk) -> None:
        desk.press(f"{line}\r")
        await desk.says("heard")
        assert desk.users(0) == [line.strip()]

    play(tmp_path, scene, [peer.reply(peer.text("heard"))])


def test_what_must_wait_goes_back_into_the_prompt(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        for line in ("/clear", "!ls"):
            desk.press(f"{line}\r")
            await desk.says(f"`{line}` has to wait")
            await desk.prompt_is(line)
            desk.press("\x03")
            await desk.prompt_is("")
        gate.open()
        await desk.says("done")

    play(tmp_path, scene, [peer.reply(gate, peer.text("done"))])


def test_a_queue_taken_back_is_shown_and_not_sent(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        desk.press("steer this\r/queue then that\r")
        await desk.until(lambda: desk.session.inbox.followups)
        desk.press("/dequeue\r")
        await desk.says("taken back:\nsteer: steer this\nthen: then that")
        gate.open()
        await desk.says("done")
        await desk.until(lambda: not desk.repl.working)
        assert len(desk.server.requests) == 1

    play(tmp_path, scene, [peer.reply(gate, peer.text("done"))])


def test_what_waits_goes_back_into_the_prompt(tmp_path: Path) -> None:
    gate = Gate()

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        desk.press("\x1b[1;3A")
        desk.press("/queue then that\rsteer this\rtyped")
        await desk.until(lambda: desk.session.inbox.followups and desk.repl.buffer.text == "typed")
        desk.press("\x1b[1;3A")
        await desk.prompt_is("steer this\n\nthen that\n\ntyped")
        assert not desk.session.inbox.steering and not desk.session.inbox.followups
        gate.open()
        await desk.says("done")
        await desk.until(lambda: not desk.repl.working)
        assert len(desk.server.requests) == 1 and desk.repl.buffer.text.endswith("typed")

    play(tmp_path, scene, [peer.reply(gate, peer.text("done"))])


@pytest.mark.parametrize("saved", ["not json", "[]", '{"steering": [1]}'])
def test_a_queue_that_was_edited_badly_is_as_it_was(tmp_path: Path, saved: str) -> None:
    gate = Gate()
    script = tmp_path / "editor"
    script.write_text(f"#!/bin/sh\nprintf '%s' '{saved}' > \"$1\"\n")
    script.chmod(0o755)

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        desk.press("steer this\r/dequeue edit\r")
        await desk.says("the queue")
        assert desk.session.inbox.steering == ("steer this",)
        gate.open()
        await desk.says("second")
        assert desk.users(1) == ["start", "steer this"]

    answers = [peer.reply(gate, peer.text("first")), peer.reply(peer.text("second"))]
    play(tmp_path, scene, answers, {"VISUAL": str(script)})


@pytest.mark.parametrize("typed", ["\r", "something new\r"])
def test_a_failed_turn_keeps_the_queue_for_the_next(tmp_path: Path, typed: str) -> None:
    gate = Gate()
    script = [peer.Reply((gate, b""), end="reset"), peer.reply(peer.text("well")), peer.reply(peer.text("and then"))]

    async def scene(desk: Desk) -> None:
        desk.press("start\r")
        await asyncio.to_thread(gate.wait_until_reached)
        desk.press("steer this\rand this\r/queue then that\r")
        await desk.until(lambda: desk.session.inbox.followups)
        gate.open()
        await desk.says("failed")
        await desk.until(lambda: not desk.repl.working)
        assert desk.session.inbox.steering == ("steer this", "and this")
        desk.press(typed)
        await desk.says("and then")
        assert desk.users(1) == ["start", "steer this", "and this", *filter(None, [typed.strip()])]
        assert desk.users(2) == [*desk.users(1), "then that"]
        prompts = [line[2:] for line in desk.shown.splitlines() if line.startswith("❯ ") and "/queue" not in line]
        assert prompts == desk.users(2)

    play(tmp_path, scene, script)


def test_the_prompt_is_edited_with_its_pastes_in_full(tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nsed -i "s/x/y/" "$1"\n')
    script.chmod(0o755)

    async def scene(desk: Desk) -> None:
        desk.press("a \x1b[200~" + "x\r" * 6 + "\x1b[201~")
        await desk.prompt_is("a [paste #1 +7 lines]")
        desk.press("\x07")
        await desk.prompt_is("a " + "y\n" * 5 + "y")

    play(tmp_path, scene, environ={"EDITOR": str(script)})


@pytest.mark.parametrize(("keys", "value"), [("\x1b[B\r", "two"), ("3", "three"), ("\x1b", None), ("\r", "one")])
def test_a_row_is_chosen(tmp_path: Path, keys: str, value: str | None) -> None:
    async def scene(desk: Desk) -> None:
        desk.press("typed")
        await desk.prompt_is("typed")
        choosing = asyncio.create_task(desk.repl.choose("which?", [("one", "1"), ("two", ""), ("three", "")]))
        await asyncio.sleep(0)
        desk.press(keys)
        assert await choosing == value
        desk.press("!")
        await desk.prompt_is("typed!")

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("/he", ["/help"]),
        ("/foll", ["/followup"]),
        ("/dequeue ", ["edit"]),
        ("see @no", ["notes.txt"]),
        ("/zzz", []),
        ("a@no", []),
    ],
)
def test_completion_offers(tmp_path: Path, typed: str, offered: list[str]) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "other.md").touch()
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    async def scene(desk: Desk) -> None:
        found = desk.repl.buffer.completer.get_completions_async(Document(typed), CompleteEvent())
        assert [each.text async for each in found] == offered

    play(tmp_path, scene)


@pytest.mark.parametrize(("seconds", "rings"), [(0.0, 1), (3600.0, 0)])
def test_only_the_end_of_a_long_turn_rings(tmp_path: Path, seconds: float, rings: int) -> None:
    async def scene(desk: Desk) -> None:
        desk.repl.bell_seconds = seconds
        desk.press("start\r")
        await desk.says("done")
        await desk.until(lambda: not desk.repl.working)
        written = desk.written.getvalue()
        assert written.count("\a\x1b]9;nanocode: the turn has ended\a") == rings == written.count("\x1b]9;")

    play(tmp_path, scene, [peer.reply(peer.text("done"))])


def test_models_complete_once_the_server_has_listed_them(tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        desk.press("/model tes")
        # Nothing else is typed: the server's answer brings them.
        await desk.until(lambda: (state := desk.repl.buffer.complete_state) and state.completions)
        assert [each.text for each in desk.repl.buffer.complete_state.completions] == ["test-model"]

    play(tmp_path, scene)
