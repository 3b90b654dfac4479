"""A list in the place of the prompt, from which one row is picked; knows nothing of what the rows mean."""

import asyncio
from collections.abc import Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension

from nanocode.ui.desk import Option
from nanocode.ui.rows import clean, cut

_SHOWN = 10


class Choice:
    """Shown by `window` while `pick` waits; arrows, digits, Enter and Esc decide."""

    def __init__(self) -> None:
        self.open = False
        self._title = ""
        self._options: Sequence[Option] = ()
        self._at = 0
        self._picked: asyncio.Future[str | None] | None = None
        control = FormattedTextControl(self._text, focusable=True, key_bindings=self._keys(), show_cursor=False)
        self.window = Window(control, height=Dimension(max=_SHOWN + 2), dont_extend_height=True, wrap_lines=False)

    async def pick(self, title: str, options: Sequence[Option]) -> str | None:
        """The value picked, None for Esc. The caller has the window focused meanwhile."""
        self._title, self._options, self._at, self.open = clean(title), options, 0, True
        self._picked = asyncio.get_running_loop().create_future()
        try:
            return await self._picked
        finally:
            self.open = False

    def _text(self) -> StyleAndTextTuples:
        first = max(0, min(self._at - _SHOWN // 2, len(self._options) - _SHOWN))
        rows: StyleAndTextTuples = [("bold", self._title + "\n")]
        for number, (value, meaning) in list(enumerate(self._options))[first : first + _SHOWN]:
            chosen = number == self._at
            if chosen:
                # A low window scrolls to it.
                rows.append(("[SetCursorPosition]", ""))
            rows.append(("bold ansicyan" if chosen else "", f"{'❯' if chosen else ' '} {number + 1}. {clean(value)}"))
            rows.append(("dim", f"  {cut(clean(meaning), 60)}\n"))
        rows.append(("dim", "arrows or a number, Enter takes it, Esc leaves"))
        return rows

    def _end(self, value: str | None) -> None:
        if self._picked is not None and not self._picked.done():
            self._picked.set_result(value)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("up")
        @keys.add("c-p")
        def _(event: KeyPressEvent) -> None:
            self._at = max(self._at - 1, 0)

        @keys.add("down")
        @keys.add("c-n")
        @keys.add("tab")
        def _(event: KeyPressEvent) -> None:
            self._at = min(self._at + 1, len(self._options) - 1)

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            self._end(self._options[self._at][0] if self._options else None)

        @keys.add("escape")
        @keys.add("c-c")
        @keys.add("c-d")
        def _(event: KeyPressEvent) -> None:
            self._end(None)

        for digit in "123456789":

            @keys.add(digit)
            def _(event: KeyPressEvent) -> None:
                if int(event.data) <= len(self._options):
                    self._end(self._options[int(event.data) - 1][0])

        return keys
