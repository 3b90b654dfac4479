"""From settings to a REPL and back to a sane terminal; knows which parts there are, and nothing they do."""

import asyncio
from typing import TextIO, cast

from prompt_toolkit.input import create_input

from nanocode.events import Event, RunStarted
from nanocode.provider.auth import NoKey
from nanocode.session import Session
from nanocode.settings import Settings
from nanocode.ui.banner import banner, welcome
from nanocode.ui.highlight import Highlighter
from nanocode.ui.past import Past
from nanocode.ui.repl import Repl
from nanocode.ui.rows import DIM, Row, ansi, wrap
from nanocode.ui.sessions import recall
from nanocode.ui.story import Story
from nanocode.ui.terminal import Painter, Screen


async def talk(settings: Settings, stdin: TextIO, stdout: TextIO, *, color: bool) -> int:
    """Hold the conversation; the exit code."""
    screen = cast(Screen, Screen.from_pty(stdout, term=settings.environ.get("TERM")))
    painter, highlighter = Painter(screen, color=color), Highlighter()
    story = Story(
        painter.add,
        painter.soon,
        lambda: screen.get_size().columns,
        highlighter,
        thinking=settings.show_thinking,
        tools=not settings.quiet_tools,
    )
    loading: list[asyncio.Task[None]] = []

    def emit(event: Event) -> None:
        if isinstance(event, RunStarted) and not loading:
            # While the first answer is on its way nobody waits for anything else.
            loading.append(asyncio.create_task(highlighter.load()))
        story(event)

    session = Session(settings, emit)
    try:
        await session.__aenter__()
    except NoKey:
        _print(stdout, welcome(settings.environ), color)
        return NoKey.exit_code
    try:
        # Before the prompt: tmux keeps a prompt that was drawn in the first row of an empty screen as history.
        columns = screen.get_size().columns
        painter.add([row for line in banner(session) for row in wrap(line, columns)])
        history = Past(settings.directory / "history")
        repl = Repl(session, story, painter, history, create_input(stdin), screen)
        recall(repl)
        painter.frame()
        screen.gone = repl.hung_up
        code = await repl.run()
        await asyncio.gather(*loading)
        if session.agent.history.messages and not screen.lost:
            _print(stdout, [[(DIM, f"nanocode --resume {session.id} goes on with this session")]], color)
        return code
    finally:
        await session.__aexit__(None, None, None)


def _print(stdout: TextIO, rows: list[Row], color: bool) -> None:
    stdout.write("".join(f"{ansi(row, color)}\n" for row in rows))
    stdout.flush()
