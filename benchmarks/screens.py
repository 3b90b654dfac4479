"""The contenders of `bench_terminal.py`: the same session over the same stream, shown by other terminal libraries.

Run as `python screens.py NAME` with the variables that nanocode itself reads; a line on stdin begins the turn.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from nanocode.events import Event, TextDelta
from nanocode.session import Session
from nanocode.settings import Settings

FRAMES = 30


def settings() -> Settings:
    home = Path(os.environ["HOME"])
    return Settings(home, home, dict(os.environ), home / ".nanocode", base_url=os.environ["OPENAI_BASE_URL"])


async def turn(emit: Callable[[Event], None]) -> None:
    async with Session(settings(), emit) as session:
        await session.submit("go")


def nothing() -> None:
    """No screen at all: what the client and the agent need by themselves."""
    sys.stdin.readline()
    asyncio.run(turn(lambda event: None))


def rich_live() -> None:
    """rich's way: the whole Markdown rendered anew at each refresh."""
    from rich.live import Live
    from rich.markdown import Markdown

    sys.stdin.readline()
    pieces: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, TextDelta):
            pieces.append(event.text)

    with Live(get_renderable=lambda: Markdown("".join(pieces)), refresh_per_second=FRAMES):
        asyncio.run(turn(emit))


def textual_app() -> None:
    """textual's way: its Markdown widget, fed through its own stream, with an input below it."""
    from textual.app import App, ComposeResult
    from textual.containers import VerticalScroll
    from textual.widgets import Input, Markdown

    class Screen(App[None]):
        def compose(self) -> ComposeResult:
            with VerticalScroll():
                yield Markdown()
            yield Input()

        def on_mount(self) -> None:
            self.query_one(Input).focus()
            self.query_one(VerticalScroll).anchor()

        def on_input_submitted(self) -> None:
            self.run_worker(self.converse())

        async def converse(self) -> None:
            pieces: asyncio.Queue[str] = asyncio.Queue()
            stream = Markdown.get_stream(self.query_one(Markdown))

            async def feed() -> None:
                while True:
                    await stream.write(await pieces.get())

            feeding = asyncio.create_task(feed())
            await turn(lambda event: pieces.put_nowait(event.text) if isinstance(event, TextDelta) else None)
            while not pieces.empty():
                await asyncio.sleep(0.05)
            feeding.cancel()
            await stream.stop()
            self.exit()

    Screen().run()


SCREENS = {"no screen": nothing, "rich Live(Markdown)": rich_live, "textual Markdown": textual_app}

if __name__ == "__main__":
    SCREENS[sys.argv[1]]()
