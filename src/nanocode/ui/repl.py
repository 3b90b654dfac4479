"""The plain REPL: reads lines, runs turns, one at a time; knows nothing of how a turn is shown."""

import asyncio
import signal
from collections.abc import Callable

from nanocode.errors import NanocodeError
from nanocode.session import Session
from nanocode.ui.commands import QUIT, find
from nanocode.ui.plain import failure
from nanocode.ui.sink import Output

_RULE = "─" * 40


def run(runner: asyncio.Runner, session: Session, ask: Callable[[str], str], out: Output) -> int:
    """Read prompts by `ask` until the end; Ctrl-C interrupts a turn, and twice at an empty prompt leaves."""
    out.dim(f"nanocode · {session.agent.model.id} · /help lists the commands, /q quits\n")
    leaving = False
    while True:
        try:
            line = ask(f"{_RULE}\n❯ ").strip()  # noqa: RUF001 - the prompt
        except EOFError:
            out.write("\n")
            return 0
        except KeyboardInterrupt:
            if leaving:
                return 130
            leaving = True
            out.dim("\n(Ctrl-C again or /q quits)\n")
            continue
        leaving = False
        if line and runner.run(_one(session, line, out)) == QUIT:
            return 0


async def _one(session: Session, line: str, out: Output) -> str:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, session.interrupt)
    try:
        command = find(line)
        if command is None:
            out.write(f"{_RULE}\n")
            await session.submit(line)
            return ""
        answer = await command[0].run(session, command[1])
        if answer != QUIT:
            out.write(f"{answer}\n")
        return answer
    except NanocodeError as error:
        out.red(failure(str(error), error.hint))
        return ""
    finally:
        loop.remove_signal_handler(signal.SIGINT)
