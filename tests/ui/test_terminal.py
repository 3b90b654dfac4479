"""How the painter draws: once a frame, and the prompt as it was sent before unless something has changed it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from io import StringIO

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input

from nanocode.ui.choice import Choice
from nanocode.ui.layout import Surroundings, layout
from nanocode.ui.rows import Row, trim, width
from nanocode.ui.terminal import Painter, Prompt, Screen


class Board:
    """An application with a painter, and all that was written to its terminal."""

    def __init__(self, keyboard: PipeInput) -> None:
        self.written = StringIO()
        self.size = Size(rows=20, columns=30)
        self.live: list[Row] = []
        self.words = "toolbar"
        self.buffer = Buffer()
        screen = Screen(self.written, lambda: self.size)
        around = Surroundings(
            lambda: self.size, live=lambda: self.live, status=list, toolbar=lambda n: self.words, color=True
        )
        self.painter = Painter(screen, color=False)
        parts = layout(self.buffer, Choice(), around, lambda: self.painter.bare)
        self.app = Prompt(layout=parts, input=keyboard, output=screen, erase_when_done=True)
        self.painter.app, self.painter.above, self.painter.below = self.app, around.above, around.below

    def frame(self) -> str:
        """What a frame writes, without colours."""
        start = self.written.tell()
        self.painter.frame()
        return re.sub(r"\x1b\[[\d;]*m", "", self.written.getvalue()[start:])


def board(scene: Callable[[Board], Awaitable[None]]) -> None:
    async def run(keyboard: PipeInput) -> None:
        it = Board(keyboard)
        running = asyncio.create_task(it.app.run_async())
        while not it.app.is_running or not it.app.render_counter:
            await asyncio.sleep(0)
        await scene(it)
        it.app.exit(result=0)
        await running

    with create_pipe_input() as keyboard:
        asyncio.run(run(keyboard))


def test_what_comes_while_a_frame_is_made_belongs_to_it() -> None:
    async def scene(it: Board) -> None:
        made = []

        def make() -> None:
            made.append(1)
            it.painter.add([[("", f"row {len(made)}")]])

        it.painter.before_frame = make
        it.painter.soon()
        while not made:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(made) == 1 and "row 1\r\n" in it.written.getvalue()

    board(scene)


def test_a_prompt_that_has_not_changed_is_not_laid_out_again() -> None:
    async def scene(it: Board) -> None:
        it.buffer.insert_text("typed")
        it.app._redraw()
        it.frame()
        drawn = it.app.render_counter
        for number in range(5):
            it.live = [[("", f"live {number}")]] * number
            it.painter.add([[("", f"row {number}")]])
            written = it.frame()
            assert f"row {number}\r\n" in written and written.count(f"live {number}\r\n") == number
            assert written.count("❯ typed") == 1 and written.count("toolbar") == 1
            assert it.frame() == ""
        assert it.app.render_counter == drawn

    board(scene)


def test_what_changes_in_the_prompt_or_below_it_shows_in_the_next_frame() -> None:
    async def scene(it: Board) -> None:
        it.buffer.insert_text("typed")
        it.app._redraw()
        assert "❯ typed" in it.frame()
        it.buffer.insert_text(" more")
        it.app._redraw()
        assert "❯ typed more" in it.frame()
        it.words = "other words"
        assert "other words" in it.frame()
        it.size = Size(rows=20, columns=8)
        assert "other w" in it.frame()

    board(scene)


def test_a_frame_is_never_higher_than_the_window() -> None:
    async def scene(it: Board) -> None:
        it.live = [[("", "live")]] * 30
        for rows in (20, 12, 9, 5, 3, 2):
            it.size = Size(rows=rows, columns=30)
            assert it.frame().count("\n") < rows

    board(scene)


def test_rows_are_trimmed_to_what_fits() -> None:
    row: Row = [("1", "ab"), ("", "世界c")]
    assert trim(row, 7) is row
    for columns in range(1, 7):
        assert sum(width(text) for _, text in trim(row, columns)) <= columns
    assert trim(row, 5) == [("1", "ab"), ("", "世")]
