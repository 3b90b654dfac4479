"""What a slash command may use of the front end that took it; knows no front end."""

from collections.abc import Sequence
from typing import Literal, Protocol

from nanocode.errors import UsageError
from nanocode.session import Session

Form = Literal["plain", "markdown", "diff", "prompt", "answer"]
# A value to complete or choose, and what it means.
Option = tuple[str, str]


def number(text: str) -> int | None:
    """The number that a person typed, None for anything else; no one means one of ten digits."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def steps_back(command: str, argument: str, what: str) -> int:
    """How many of `what` a command goes back, one without an argument. Raises UsageError."""
    count = number(argument or "1")
    if count is None:
        raise UsageError(f"`{command} {argument[:40]}`: how many {what} back?", f"such as {command} 2")
    return count


class Desk(Protocol):
    """The front end at work: the terminal, or plain lines."""

    session: Session
    # What else than commands there is to know, as the rows of `/help`.
    legend: Sequence[tuple[str, str]]

    @property
    def working(self) -> bool:
        """Whether a turn is under way."""

    def show(self, text: str, form: Form = "plain") -> None:
        """Show foreign text above the prompt, now; what a command returns is shown as "plain"."""

    def send(self, text: str) -> None:
        """Take `text` as though it had been typed: a turn of its own, or steering while one is under way."""

    def unfold(self, back: int) -> bool:
        """Show the result of a call whole, 1 being the last; whether there is one."""

    def copy(self, text: str) -> None:
        """Put `text` on the clipboard. Raises UsageError where there is none."""

    async def edit(self, text: str, suffix: str = ".md") -> str:
        """`text` as the user left it in `$VISUAL` or `$EDITOR`. Raises UsageError when neither works."""

    async def choose(self, title: str, options: Sequence[Option]) -> str | None:
        """The value that the user picks, None when nothing is."""

    def leave(self) -> None:
        """End the program as soon as the command returns."""
