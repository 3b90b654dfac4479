"""What stands below the printed rows: live tail, status, prompt, menu, toolbar; knows no keys and no sessions."""

from collections.abc import Callable

from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, HighlightSelectionProcessor
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from nanocode.ui.choice import Choice
from nanocode.ui.rows import DIM, Row

_NAMES = {
    "1": "bold",
    "2": "dim",
    "3": "italic",
    "4": "underline",
    "9": "strike",
    "31": "ansired",
    "32": "ansigreen",
    "33": "ansiyellow",
    "34": "ansiblue",
    "35": "ansimagenta",
    "36": "ansicyan",
}
RULE = "─" * 40
_MENU, _PROMPT = 8, 12
_ANY_WIDTH = Dimension(preferred=1)
# In a lower window the rules leave their place to the prompt.
_LOW = 10

# Reverse and background colours on whole rows leave traces when a terminal wraps them anew.
STYLE = Style.from_dict(
    {
        "completion-menu": "noreverse bg:default fg:default",
        "completion-menu.completion": "noreverse bg:default fg:default",
        "completion-menu.completion.current": "noreverse bold bg:default fg:ansicyan",
        "completion-menu.meta.completion": "noreverse dim bg:default fg:default",
        "completion-menu.meta.completion.current": "noreverse bg:default fg:default",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "bg:default",
    }
)


def styled(rows: list[Row]) -> StyleAndTextTuples:
    """Rows as prompt_toolkit draws them."""
    text: StyleAndTextTuples = []
    for number, row in enumerate(rows):
        if number:
            text.append(("", "\n"))
        text += ((" ".join(_NAMES[code] for code in style.split(";") if code), piece) for style, piece in row)
    return text


class Surroundings:
    """The rows above and below the prompt, as this window has room for them. Each part is asked for at every frame."""

    def __init__(
        self,
        size: Callable[[], Size],
        *,
        live: Callable[[], list[Row]],
        status: Callable[[], list[Row]],
        toolbar: Callable[[int], str],
        color: bool,
    ) -> None:
        self._size, self._live, self._status, self._toolbar = size, live, status, toolbar
        self._dim = DIM if color else ""

    def above(self) -> list[Row]:
        size = self._size()
        rows = [*self._live()[-max(size.rows // 2, 1) :], *self._status()]
        if not self._dim:
            rows = [[("", text) for _, text in row] for row in rows]
        return rows if size.rows < _LOW else [*rows, [(self._dim, RULE[: size.columns])]]

    def below(self) -> list[Row]:
        size = self._size()
        words: Row = [(self._dim, self._toolbar(size.columns - 1))]
        return [words] if size.rows < _LOW else [[(self._dim, RULE[: size.columns])], words]


def layout(buffer: Buffer, choice: Choice, around: Surroundings, bare: Callable[[], bool]) -> Layout:
    """The layout, with the prompt focused; while `bare`, nothing is above it."""
    search = SearchToolbar(backward_search_prompt="history: ", forward_search_prompt="history: ")
    prompt = Window(
        BufferControl(
            buffer,
            search_buffer_control=search.control,
            preview_search=True,
            include_default_input_processors=False,
            input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor()],
        ),
        height=Dimension(min=1, max=_PROMPT),
        wrap_lines=True,
        dont_extend_height=True,
        get_line_prefix=lambda line, wrapped: [("ansicyan", "❯ ")] if not line and not wrapped else [("", "  ")],
    )
    picking = Condition(lambda: choice.open)
    # Few windows: each costs a tenth of a millisecond at every drawing.
    return Layout(
        HSplit(
            [
                _rows(lambda: [] if bare() else around.above()),
                ConditionalContainer(prompt, ~picking),
                ConditionalContainer(choice.window, picking),
                search,
                CompletionsMenu(max_height=_MENU, scroll_offset=1),
                _rows(around.below),
            ],
            width=_ANY_WIDTH,
        ),
        focused_element=prompt,
    )


def _rows(rows: Callable[[], list[Row]]) -> ConditionalContainer:
    drawn: tuple[int, list[Row]] = (-1, [])

    def now() -> list[Row]:
        # A layout asks several times in a frame.
        nonlocal drawn
        frame = get_app().render_counter
        if drawn[0] != frame:
            drawn = frame, rows()
        return drawn[1]

    # With its size told, the window does not lay out its text to learn it.
    window = Window(
        FormattedTextControl(lambda: styled(now())),
        height=lambda: Dimension.exact(len(now())),
        width=_ANY_WIDTH,
        wrap_lines=False,
    )
    return ConditionalContainer(window, Condition(lambda: bool(now())))
