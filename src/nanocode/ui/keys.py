"""The keys of the prompt; knows what they are called, and nothing of what they set off."""

from typing import Protocol

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, has_completions, is_searching
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from nanocode.ui.pastes import Pastes

# Keys and what a line begins with, in words; the README has this table too.
LEGEND = (
    ("Alt-Enter, Ctrl-J, `\\` Enter", "a new line; Enter alone sends"),
    ("Tab, arrows", "complete commands, models, skills, and files after `@`"),
    ("Ctrl-C", "clears the prompt, else interrupts, and twice on an empty one quits"),
    ("Esc", "interrupts; the typed text and the queue stay"),
    ("Alt-Up", "takes what waits back into the prompt"),
    ("Ctrl-O", "the last result whole, as `/last`"),
    ("Ctrl-R", "searches what you typed before"),
    ("Ctrl-G, Ctrl-X Ctrl-E", "the prompt in `$VISUAL` or `$EDITOR`"),
    ("Ctrl-L, Ctrl-Z, Ctrl-D", "a clean screen; to the shell until `fg`; quit"),
    ("`@path`", "puts the file, folder listing or image into the message"),
    ("`!command`, `!!command`", "runs it, and tells the model what it printed; without telling"),
)


class Hands(Protocol):
    """What keys set off."""

    buffer: Buffer
    pastes: Pastes

    def accept(self) -> None:
        """Take what stands in the prompt."""

    def stop(self) -> None:
        """Esc: interrupt what runs."""

    def cancel(self) -> None:
        """Ctrl-C: clear the prompt, else interrupt, else leave at the second time."""

    def leave(self) -> None:
        """Ctrl-D on an empty prompt."""

    def unfold(self, back: int) -> object:
        """Ctrl-O: the last result whole."""

    def edit_prompt(self) -> None:
        """Ctrl-G: the prompt in the user's editor."""

    def take_back(self) -> None:
        """Alt-Up: what waits, in the prompt."""


def keys(hands: Hands) -> KeyBindings:
    """The bindings, on top of prompt_toolkit's own for Emacs."""
    bindings = KeyBindings()
    empty = Condition(lambda: not hands.buffer.text)
    chosen = Condition(lambda: bool(hands.buffer.complete_state and hands.buffer.complete_state.current_completion))
    continued = Condition(lambda: hands.buffer.document.text_before_cursor.endswith("\\"))

    @bindings.add("enter", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        hands.accept()

    @bindings.add("enter", filter=chosen)
    def _(event: KeyPressEvent) -> None:
        hands.buffer.complete_state = None

    @bindings.add("enter", filter=continued & ~is_searching)
    def _(event: KeyPressEvent) -> None:
        hands.buffer.delete_before_cursor()
        hands.buffer.insert_text("\n")

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def _(event: KeyPressEvent) -> None:
        hands.buffer.insert_text("\n")

    @bindings.add("escape", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        hands.stop()

    @bindings.add("escape", filter=has_completions)
    def _(event: KeyPressEvent) -> None:
        hands.buffer.cancel_completion()

    @bindings.add("c-c", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        hands.cancel()

    @bindings.add("c-d", filter=empty)
    def _(event: KeyPressEvent) -> None:
        hands.leave()

    @bindings.add("c-o")
    def _(event: KeyPressEvent) -> None:
        hands.unfold(1)

    @bindings.add("c-g", filter=~is_searching)
    @bindings.add("c-x", "c-e")
    def _(event: KeyPressEvent) -> None:
        hands.edit_prompt()

    @bindings.add("escape", "up")
    def _(event: KeyPressEvent) -> None:
        hands.take_back()

    @bindings.add("c-l")
    def _(event: KeyPressEvent) -> None:
        event.app.renderer.clear()

    @bindings.add("c-z")
    def _(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    @bindings.add(Keys.BracketedPaste)
    def _(event: KeyPressEvent) -> None:
        hands.buffer.insert_text(hands.pastes.fold(event.data))

    return bindings
