"""The terminal at work: what is typed becomes turns, steering, commands; knows nothing of how rows look."""

import asyncio
import base64
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding.key_processor import KeyProcessor
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import ColorDepth, Output

from nanocode.errors import NanocodeError, UsageError
from nanocode.events import RunEnded
from nanocode.session import Session
from nanocode.ui import editor, servers, signals
from nanocode.ui.choice import Choice
from nanocode.ui.commands import Command, find
from nanocode.ui.completion import Suggestions, wanted
from nanocode.ui.desk import Form, Option
from nanocode.ui.keys import LEGEND, keys
from nanocode.ui.layout import STYLE, Surroundings, layout
from nanocode.ui.pastes import Pastes
from nanocode.ui.rows import DIM, Row, clean, cut
from nanocode.ui.shell import shell
from nanocode.ui.status import TICK_SECONDS, status
from nanocode.ui.story import Story
from nanocode.ui.terminal import Painter, Prompt
from nanocode.ui.toolbar import toolbar

_TWICE_SECONDS, _ESC_SECONDS = 1.0, 0.05
_CLIPBOARD = 100_000


class Repl:
    """The desk of the terminal. `run` lasts until the user leaves and gives the exit code."""

    # Whoever waited this long for a turn may be looking elsewhere.
    bell_seconds = 10.0
    legend: Sequence[tuple[str, str]] = LEGEND

    def __init__(
        self, session: Session, story: Story, painter: Painter, history: History, input: Input, output: Output
    ) -> None:
        self.session = session
        session.elicit = partial(servers.form, self)
        session.on_news = self._hear_news
        self.pastes = Pastes()
        self._story, self._painter, self._history, self._output = story, painter, history, output
        self._choice = Choice()
        self.buffer = Buffer(
            completer=Suggestions(session),
            complete_while_typing=Condition(lambda: wanted(self.buffer.document.text_before_cursor)),
            history=history,
            multiline=True,
        )
        self._turn: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()
        # What came when no turn could take it and none could begin.
        self._next: list[tuple[str, Callable[[], None]]] = []
        self._went_well = True
        self._told = ""
        self._pressed = -_TWICE_SECONDS
        self._ticker: asyncio.TimerHandle | None = None
        around = Surroundings(
            output.get_size,
            live=story.live,
            status=self._status,
            toolbar=lambda columns: toolbar(session, columns),
            color=painter.color,
        )
        self._app = Prompt(
            layout=layout(self.buffer, self._choice, around, lambda: painter.bare),
            key_bindings=keys(self),
            style=STYLE,
            color_depth=None if painter.color else ColorDepth.DEPTH_1_BIT,
            erase_when_done=True,
            input=input,
            output=output,
        )
        self._app.ttimeoutlen = _ESC_SECONDS
        self._app.key_processor.after_key_press += self._wait_for_more
        self._app.terminal_size_polling_interval = None
        painter.app, painter.before_frame = self._app, story.flush
        painter.above, painter.below = around.above, around.below

    async def run(self) -> int:
        actions = {number: self._ended_by(128 + number) for number in signals.ENDINGS}
        actions[signal.SIGINT] = self._signalled
        signals.hear(actions)
        try:
            return await self._app.run_async(set_exception_handler=False, handle_sigint=False)
        except EOFError:
            return 129
        finally:
            await self._settle()
            signals.leave(actions)

    def _ended_by(self, code: int) -> Callable[[], None]:
        return lambda: self._exit(code)

    def _signalled(self) -> None:
        # Ctrl-C comes as a key; as a signal only while another program has the terminal, and then it is meant for that.
        if not self._painter.away:
            self.cancel()

    def hung_up(self) -> None:
        """The terminal is gone."""
        self._exit(129)

    def _exit(self, code: int) -> None:
        if self._app.is_running and not self._app.is_done:
            self._app.exit(result=code)
            # The application ends only once another program has given the terminal back.
            self._stop_all()

    async def _settle(self) -> None:
        """End what runs and wait for it, so that the history is whole and no process is left."""
        if self._ticker is not None:
            self._ticker.cancel()
        await asyncio.gather(*self._stop_all(), return_exceptions=True)
        self._painter.frame()

    def _stop_all(self) -> list[asyncio.Task[None]]:
        self._interrupt()
        tasks = [*self._others, *([self._turn] if self._turn else [])]
        for task in self._others - {asyncio.current_task()}:
            task.cancel()
        return tasks

    # What is typed

    def accept(self) -> None:
        text = self.pastes.unfold(self.buffer.text).strip()
        self.buffer.reset()
        if text:
            self._history.append_string(text)
            self.take(text)
        elif not self._steers:
            self._send_queue()

    def take(self, line: str) -> None:
        """Do what a line asks for, or do it later where it depends on what has not ended."""
        if line.startswith("!") and line.strip("! "):
            self._alone(partial(self._shell, line), line)
            return
        try:
            command = find(self.session, line)
        except UsageError as error:
            self._story.line(f"❯ {line}", DIM)
            self._story.failure(str(error), error.hint)
            return
        if command is None:
            self.send(line)
        else:
            self._command(*command, line)

    def _command(self, command: Command, argument: str, line: str) -> None:
        if not command.while_working or (command.settles and not self._steers):
            self._alone(partial(self._answer, command, argument), line)
            return
        self._story.line(f"❯ {line}", DIM)
        self._beside(self._answer(command, argument))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin what runs beside a turn."""

        def ended(task: asyncio.Task[None]) -> None:
            self._others.discard(task)
            # A frame that was drawn between the task's last step and this still shows it.
            self._painter.soon()

        task = asyncio.create_task(self._guarded(work))
        self._others.add(task)
        task.add_done_callback(ended)

    def _alone(self, work: Callable[[], Coroutine[Any, Any, None]], line: str) -> None:
        """Begin what nothing else may run beside; while a turn does, `line` goes back into the prompt."""
        if self._ends:
            self._next.append((line, partial(self._alone, work, line)))
            return
        if self._steers:
            self._story.failure(f"`{cut(clean(line), 40)}` has to wait for the end of the turn", "Esc interrupts it")
            if not self.buffer.text:
                self.buffer.insert_text(line)
            return
        self._story.line(f"❯ {line}", DIM)
        self._begin(work())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._turn = asyncio.create_task(self._guarded(work))
        self._turn.add_done_callback(lambda turn: self._go_on())
        # It may be going for a background job already.
        if self._ticker is None:
            self._tick()

    def _go_on(self) -> None:
        """After a turn or a command: what came while it ended, and after a good end what waits."""
        if self._app.is_done:
            return
        if self._next:
            waiting, self._next = self._next, []
            for _, act in waiting:
                act()
        elif self._went_well:
            self._send_queue()
            self._hear_news()

    def _hear_news(self) -> None:
        """Begin a turn on what background jobs have brought, as soon as nothing else runs."""
        if self.session.board.news and not self.working and not self._app.is_done:
            self._story.running = True
            self._begin(self._run(self.session.catch_up()))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except NanocodeError as error:
            self._story.failure(str(error), error.hint)
        finally:
            self._painter.soon()

    async def _answer(self, command: Command, argument: str) -> None:
        if text := await command.run(self, argument):
            self.show(text)

    async def _shell(self, line: str) -> None:
        self._story.since, self._story.doing = time.monotonic(), "running"
        try:
            note = await shell(self.session, line, self._story)
        finally:
            self._story.doing = ""
        if note:
            self._story.own = True
            self.session.note(note)

    async def _run(self, turn: Coroutine[Any, Any, RunEnded | None]) -> None:
        begun = time.monotonic()
        try:
            ended = await turn
        finally:
            self._story.running = False
        if time.monotonic() - begun > self.bell_seconds:
            self._painter.raw("\a\x1b]9;nanocode: the turn has ended\a")
        self._went_well = ended is None or ended.stop_reason == "done"

    def _send_queue(self) -> None:
        """Begin a turn with what waits since an interrupt or a failure."""
        inbox = self.session.inbox
        if inbox.steering:
            self._submit(inbox.steering)
        elif inbox.followups:
            self._submit(inbox.take_followup())

    def _submit(self, texts: tuple[str, ...]) -> None:
        """Begin a turn with these: the agent takes those after the first from the inbox."""
        self.session.inbox.replace(texts[1:], self.session.inbox.followups)
        self._story.prompt(texts[0])
        self._story.running = True
        self._begin(self._run(self.session.submit(texts[0])))

    # The desk

    @property
    def working(self) -> bool:
        return self._turn is not None and not self._turn.done()

    @property
    def _steers(self) -> bool:
        """Whether a turn runs that still takes steering."""
        return self.working and self._story.running

    @property
    def _ends(self) -> bool:
        """Whether a command runs, a turn has all but ended, or others wait already."""
        return bool(self._next) or (self.working and not self._story.running)

    def show(self, text: str, form: Form = "plain") -> None:
        self._story.show(text, form)

    def send(self, text: str) -> None:
        if self._ends:
            self._next.append((text, partial(self.send, text)))
        elif self._steers:
            self.session.inbox.steer(text)
        else:
            self._submit((*self.session.inbox.steering, text))

    def unfold(self, back: int) -> bool:
        return self._story.whole(back) is not None

    def copy(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        if len(data) > _CLIPBOARD:
            raise UsageError(f"the answer is longer than {_CLIPBOARD} bytes", "`/export` writes it to a file")
        # OSC 52 reaches the clipboard through tmux and ssh.
        self._painter.raw(f"\x1b]52;c;{base64.b64encode(data).decode()}\a")

    async def edit(self, text: str, suffix: str = ".md") -> str:
        async with self._painter.aside():
            return await editor.edited(text, self.session.settings.environ, suffix)

    async def choose(self, title: str, options: Sequence[Option]) -> str | None:
        before = self._app.layout.current_window
        self._app.layout.focus(self._choice.window)
        self._app.invalidate()
        try:
            return await self._choice.pick(title, options)
        finally:
            self._app.layout.focus(before)
            self._app.invalidate()

    def leave(self) -> None:
        self._exit(0)

    # Keys

    def stop(self) -> None:
        self._interrupt()

    def _wait_for_more(self, processor: KeyProcessor) -> None:
        """A key may begin a sequence: Alt with another key comes at once, but Ctrl-X Ctrl-E takes two hands."""
        escaped = any(press.key == Keys.Escape for press in processor.key_buffer)
        self._app.timeoutlen = _ESC_SECONDS if escaped else _TWICE_SECONDS

    def cancel(self) -> None:
        now = time.monotonic()
        if self.buffer.text:
            # Its pastes are known to this session only.
            self._history.append_string(self.pastes.unfold(self.buffer.text))
            self.buffer.reset()
        elif self._interrupt():
            return
        elif now - self._pressed < _TWICE_SECONDS:
            self._exit(130)
        else:
            self._pressed, self._told = now, "Ctrl-C again quits"
            asyncio.get_running_loop().call_later(_TWICE_SECONDS, self._untell)
        self._app.invalidate()

    def _untell(self) -> None:
        self._told = ""
        self._app.invalidate()

    def edit_prompt(self) -> None:
        async def replace() -> None:
            text = await self.edit(self.pastes.unfold(self.buffer.text))
            self.buffer.text = text
            self.buffer.cursor_position = len(text)

        self._beside(replace())

    def take_back(self) -> None:
        inbox = self.session.inbox
        waiting = (*inbox.steering, *inbox.followups)
        inbox.replace((), ())
        self.buffer.text = "\n\n".join((*waiting, *filter(None, [self.buffer.text])))
        self.buffer.cursor_position = len(self.buffer.text)

    def _interrupt(self) -> bool:
        """Stop what runs, if anything does: the turn, else a command, else the questions beside."""
        if self._turn and not self._turn.done():
            # Behind its first step: before that the session does not run yet what was typed.
            asyncio.get_running_loop().call_soon(lambda turn: self.session.interrupt() or turn.cancel(), self._turn)
            return True
        for task in self._others:
            task.cancel()
        return bool(self._others)

    # What is shown

    def _tick(self) -> None:
        """Keep the clock going while something runs; no timer else."""
        if self.working or self.session.board.running:
            self._painter.soon()
            self._ticker = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        else:
            self._ticker = None

    def _status(self) -> list[Row]:
        story, columns = self._story, self._output.get_size().columns
        notes = (["beside: a command is running"] if self._others else []) + ([self._told] if self._told else [])
        waiting = [line for line, _ in self._next]
        doing = story.doing if self.working else ""
        return status(self.session, columns, doing=doing, since=story.since, notes=notes, waiting=waiting)
