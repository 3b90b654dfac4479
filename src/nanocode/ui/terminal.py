"""Paints rows above a prompt that stays usable: append-only, 30 frames a second; knows nothing of what rows say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.data_structures import Point
from prompt_toolkit.output.vt100 import Vt100_Output

from nanocode.ui.rows import Row, ansi

FRAME_SECONDS = 1 / 30
# On a slow or busy machine frames become rarer rather than taking more than a sixteenth of its time.
_SHARE, _RAREST_SECONDS = 16, 0.25
# A terminal that knows the bracket shows nothing until its end; any other ignores it.
_BEGIN_FRAME, _END_FRAME = "\x1b[?2026h", "\x1b[?2026l"


class Screen(Vt100_Output):
    """The terminal. A frame goes out in one write; once the terminal is gone, `gone` is called and writes vanish."""

    held = lost = False
    # A cursor query would come back as keys when the program ends in between; nothing here needs its answer.
    responds_to_cpr = False
    gone: Callable[[], None] | None = None

    def flush(self) -> None:
        if self.held:
            return
        try:
            super().flush()
        except (OSError, ValueError):
            self._buffer: list[str] = []
            self.lost = True
            if self.gone:
                self.gone()


class Prompt(Application[int]):
    """The one application of a session; it draws itself below what the painter prints."""

    def _on_resize(self) -> None:
        # The terminal has wrapped the drawn rows anew, which upstream does not reckon with: ghosts would stay above.
        self._recount(self.output.get_size().columns)
        super()._on_resize()

    def _recount(self, columns: int) -> None:
        drawn, at = self.renderer._last_screen, self.renderer._cursor_pos
        if drawn is None or columns < 1:
            return
        above = sum(_rows_of(drawn.data_buffer[y], columns) for y in range(at.y))
        self.renderer._cursor_pos = Point(x=at.x % columns, y=above + at.x // columns)


def _rows_of(line: Any, columns: int) -> int:
    used = max((x + 1 for x, cell in line.items() if cell.char != " "), default=1)
    return -(-used // columns)


class Painter:
    """Keeps rows until the next frame and prints them above `app`; with nothing to print no timer runs.

    `live` gives what may still change, shown above the prompt: `Prompt`'s layout asks for it at each frame.
    """

    def __init__(self, output: Any, *, color: bool) -> None:
        self.color = color
        self.app: Prompt | None = None
        self._output = output
        self._rows: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._paused = 0
        self.before_frame: Callable[[], None] = lambda: None

    def add(self, rows: Sequence[Row]) -> None:
        """Print these rows with the next frame."""
        self._rows += (ansi(row, self.color) for row in rows)
        self.soon()

    def raw(self, sequence: str) -> None:
        """Send a control sequence to the terminal that moves nothing: a bell, the clipboard."""
        self._output.write_raw(sequence)
        self._output.flush()

    def soon(self) -> None:
        """Draw a frame when the next one is due."""
        if self._timer is None and not self._paused:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._due, loop.time()), self.frame)

    def frame(self) -> None:
        """Print what waits and draw the prompt anew, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._paused:
            return
        begun = asyncio.get_running_loop().time()
        self.before_frame()
        text = "".join(f"{row}\r\n" for row in self._rows)
        self._rows.clear()
        if self.app is None or not self.app.is_running:
            self._output.write_raw(text)
            self._output.flush()
        elif text:
            self._above(self.app, text)
        else:
            self.app.invalidate()
        ended = asyncio.get_running_loop().time()
        self._due = max(begun + FRAME_SECONDS, ended + min(_SHARE * (ended - begun), _RAREST_SECONDS))

    def _above(self, app: Prompt, text: str) -> None:
        output = self._output
        output.held = True
        output.write_raw(_BEGIN_FRAME)
        app.renderer.erase(leave_alternate_screen=False)
        output.write_raw(text)
        app._redraw()
        output.write_raw(_END_FRAME)
        output.held = False
        output.flush()

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Give the terminal to another program; rows wait until it has ended."""
        self.frame()
        self._paused += 1
        try:
            async with in_terminal():
                yield
        finally:
            self._paused -= 1
            self.soon()
