"""Paints rows above a prompt that stays usable: append-only, 30 frames a second; knows nothing of what rows say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.data_structures import Point
from prompt_toolkit.output.vt100 import Vt100_Output

from nanocode.ui.rows import Row, ansi, trim, width

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

    def erase_down(self) -> None:
        # tmux takes an erasure from the first cell on for a cleared screen, and keeps what was there as history.
        self.write_raw("\x1b[K\x1b[C\x1b[J\x1b[D")

    @contextmanager
    def frame(self) -> Iterator[None]:
        """What is written inside shows at once; one frame may hold another."""
        if self.held:
            yield
            return
        self.held = True
        self.write_raw(_BEGIN_FRAME)
        try:
            yield
        finally:
            self.write_raw(_END_FRAME)
            self.held = False
            self.flush()

    def taken(self, draw: Callable[[], None]) -> str:
        """What `draw` writes, kept back; only inside a frame."""
        start = len(self._buffer)
        draw()
        text = "".join(self._buffer[start:])
        del self._buffer[start:]
        return text


@dataclass(frozen=True, slots=True)
class Drawn:
    """The prompt and what is below it, as the terminal was sent them; `state` is what they were made from."""

    state: tuple[object, ...]
    text: str
    cursor: Point
    widths: tuple[int, ...]


class Prompt(Application[int]):
    """The one application of a session; it draws itself below what the painter prints.

    A painter's frame does not lay the prompt out anew, which costs more than all else: it sends again what was sent.
    """

    _widths: tuple[int, ...] = ()
    _columns = 0

    def _redraw(self, render_as_done: bool = False) -> None:
        if self.is_done and not render_as_done:
            # Whoever had the terminal gave it back after the end.
            return
        self._reckon()
        with cast(Screen, self.output).frame():
            super()._redraw(render_as_done)

    def _on_resize(self) -> None:
        self._reckon()
        super()._on_resize()

    def _reckon(self) -> None:
        """Find the cursor again in a window of another width.

        The terminal has wrapped the drawn rows anew, which upstream does not reckon with: ghosts would stay above.
        A frame may come before the signal.
        """
        columns, before = max(self.output.get_size().columns, 1), self._columns
        self._columns = columns
        if before in (0, columns):
            return
        at = self.renderer._cursor_pos
        above = sum(-(-max(used, 1) // columns) for used in self._drawn_widths()[: at.y])
        self.renderer._cursor_pos = Point(x=at.x % columns, y=above + at.x // columns)

    def _drawn_widths(self) -> tuple[int, ...]:
        """How many columns each drawn row takes."""
        screen = self.renderer._last_screen
        if screen is None:
            return self._widths
        rows = (screen.data_buffer[y] for y in range(screen.height))
        return tuple(max((x + 1 for x, cell in row.items() if cell.char != " "), default=0) for row in rows)

    def wipe(self) -> None:
        """Take away what is drawn; the cursor is where it began."""
        self._reckon()
        renderer, at = self.renderer, self.renderer._cursor_pos
        self.output.cursor_backward(at.x)
        self.output.cursor_up(at.y)
        self.output.erase_down()
        renderer._cursor_pos, renderer._last_screen, renderer._last_style = Point(0, 0), None, None

    def shows(self, drawn: Drawn | None, state: tuple[object, ...]) -> bool:
        """Whether `drawn` is how the prompt is in this state: nothing has drawn it since."""
        return drawn is not None and drawn.state == (*state, self.render_counter)

    def drawn(self, state: tuple[object, ...]) -> Drawn:
        """The prompt in this state, drawn anew. For a frame, at the cursor of `wipe`."""
        text = cast(Screen, self.output).taken(self._redraw)
        return Drawn((*state, self.render_counter), text, self.renderer._cursor_pos, self._drawn_widths())

    def stands(self, above: Sequence[int], drawn: Drawn) -> None:
        """Take it that `drawn` is on the screen, below rows of these widths that are drawn as well."""
        self.renderer._cursor_pos = Point(drawn.cursor.x, drawn.cursor.y + len(above))
        # No screen of its own is known to the renderer then: its next drawing is a whole one.
        self.renderer._last_screen, self._widths = None, (*above, *drawn.widths)


class Painter:
    """Keeps rows until the next frame and prints them above `app`; with nothing to print no timer runs.

    `above` gives the rows over the prompt that may still change, asked for at each frame; while `bare`, the prompt
    leaves them out. `below` is what else the prompt shows that changes by itself. `away` counts who has been given the
    terminal.
    """

    def __init__(self, output: Screen, *, color: bool) -> None:
        self.color = color
        self.app: Prompt | None = None
        self.bare = False
        self.before_frame: Callable[[], None] = lambda: None
        self.above: Callable[[], list[Row]] = list
        self.below: Callable[[], object] = list
        self._output = output
        self._rows: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.away = 0
        self._drawn: Drawn | None = None
        self._above: list[Row] = []

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
        if self._timer is None and not self.away:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._due, loop.time()), self.frame)

    def frame(self) -> None:
        """Print what waits and draw the prompt anew, now."""
        begun = asyncio.get_running_loop().time()
        if not self.away:
            self.before_frame()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.away:
            return
        text = "".join(f"{row}\r\n" for row in self._rows)
        self._rows.clear()
        if self.app is None or not self.app.is_running or self.app._running_in_terminal:
            self._output.write_raw(text)
            self._output.flush()
        else:
            self._draw(self.app, text)
        ended = asyncio.get_running_loop().time()
        self._due = max(begun + FRAME_SECONDS, ended + min(_SHARE * (ended - begun), _RAREST_SECONDS))

    def _draw(self, app: Prompt, text: str) -> None:
        output, size = self._output, self._output.get_size()
        state = (size, self.below())
        above = [] if app.is_done else [trim(row, size.columns) for row in self.above()]
        same = app.shows(self._drawn, state)
        if same and not text and above == self._above:
            return
        self._above = above
        with output.frame():
            app.wipe()
            if not same or self._drawn is None:
                self.bare = True
                self._drawn = app.drawn(state)
                self.bare = False
            above = above[max(len(above) + len(self._drawn.widths) - size.rows, 0) :]
            output.write_raw(text + "".join(f"{ansi(row, self.color)}\r\n" for row in above) + self._drawn.text)
            app.stands([sum(width(piece) for _, piece in row) for row in above], self._drawn)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Give the terminal to another program; rows wait until it has ended."""
        self.frame()
        self.away += 1
        try:
            async with in_terminal():
                yield
        finally:
            self.away -= 1
            self.soon()
