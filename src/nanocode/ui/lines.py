"""The REPL of terminals that can only scroll: one line, one turn; knows nothing of how one is shown."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from functools import partial

from nanocode.errors import NanocodeError, UsageError
from nanocode.events import Event, ToolEnded
from nanocode.session import Session
from nanocode.ui import servers, signals
from nanocode.ui.commands import find, loaded
from nanocode.ui.desk import Form, Option, number
from nanocode.ui.plain import failure, folded
from nanocode.ui.sessions import recall
from nanocode.ui.shell import shell
from nanocode.ui.sink import Output

_RULE = "─" * 40
_WAY_OUT = "set TERM to your terminal's name"


class Lines:
    """The desk of this front end. `run` reads prompts by `ask` until the end and gives the exit code."""

    working = False
    legend: Sequence[tuple[str, str]] = ()

    def __init__(self, session: Session, ask: Callable[[str], str], out: Output) -> None:
        self.session = session
        session.elicit = partial(servers.form, self)
        self._ask, self._out = ask, out
        self._sent: list[str] = []
        self._left = False

    def run(self, runner: asyncio.Runner) -> int:
        """Ctrl-C interrupts a turn, and twice at an empty prompt leaves."""
        self._out.dim(f"nanocode · {self.session.agent.model.id} · /help lists the commands, /q quits\n")
        if found := loaded(self.session):
            self._out.dim(f"{found}\n")
        recall(self)
        leaving = False
        while not self._left:
            try:
                line = self._ask(f"{_RULE}\n❯ ").strip()
            except EOFError:
                self._out.write("\n")
                return 0
            except KeyboardInterrupt:
                if leaving:
                    return 130
                leaving = True
                self._out.dim("\n(Ctrl-C again or /q quits)\n")
                continue
            leaving = False
            if line:
                runner.run(self._one(line))
        return 0

    async def _one(self, line: str) -> None:
        task = asyncio.current_task()
        assert task
        actions = {signal.SIGINT: lambda: self.session.interrupt() or task.cancel()}
        signals.hear(actions)
        try:
            await self._take(line)
            while self._sent:
                await self.session.submit(self._sent.pop(0))
        except NanocodeError as error:
            self._out.red(failure(str(error), error.hint))
        except asyncio.CancelledError:
            self._out.dim("interrupted\n")
        finally:
            signals.leave(actions)

    async def _take(self, line: str) -> None:
        if line.startswith("!") and line.strip("! "):
            if note := await shell(self.session, line, self._printed):
                self.session.note(note)
            return
        command = find(self.session, line)
        if command is None:
            self._out.write(f"{_RULE}\n")
            self.send(line)
        elif answer := await command[0].run(self, command[1]):
            self.show(answer)

    def _printed(self, event: Event) -> None:
        if isinstance(event, ToolEnded):
            self.show(event.result.rstrip("\n"))

    def show(self, text: str, form: Form = "plain") -> None:
        rows = [_RULE, *folded(f"❯ {text}"), _RULE] if form == "prompt" else [text]
        self._out.write("".join(f"{row}\n" for row in rows))

    def send(self, text: str) -> None:
        self._sent.append(text)

    def unfold(self, back: int) -> bool:
        return False

    def copy(self, text: str) -> None:
        raise UsageError("there is no clipboard in a terminal that can only scroll", _WAY_OUT)

    async def edit(self, text: str, suffix: str = ".md") -> str:
        raise UsageError("there is no editor in a terminal that can only scroll", _WAY_OUT)

    async def choose(self, title: str, options: Sequence[Option]) -> str | None:
        self.show("\n".join([title, *(f"{n}. {value}  {why}".rstrip() for n, (value, why) in enumerate(options, 1))]))
        try:
            picked = number(self._ask("number: ").strip())
        except (EOFError, KeyboardInterrupt):
            return None
        return options[picked - 1][0] if picked and picked <= len(options) else None

    def leave(self) -> None:
        self._left = True
