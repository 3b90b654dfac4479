"""What comes in while the agent works: steering for the next model call, follow-ups for after, news; knows no agent."""

from collections.abc import Awaitable, Callable

from nanocode.events import Emit, QueueChanged


class Inbox:
    """Two queues. Steering is taken all at once, follow-ups one by one; an interrupted turn leaves both as they are.

    `news` gives what has happened outside the conversation, each piece once. A run that has nothing left to do first
    waits for `expected`, where it is set: no one else would be there to tell the news to.
    """

    def __init__(self, emit: Emit) -> None:
        self.steering: tuple[str, ...] = ()
        self.followups: tuple[str, ...] = ()
        self.news: Callable[[], tuple[str, ...]] = tuple
        self.expected: Callable[[], Awaitable[None]] | None = None
        self._emit = emit

    def steer(self, text: str) -> None:
        self._set((*self.steering, text), self.followups)

    def follow_up(self, text: str) -> None:
        self._set(self.steering, (*self.followups, text))

    def take_steering(self) -> tuple[str, ...]:
        """Every waiting steering message, in order."""
        taken = self.steering
        if taken:
            self._set((), self.followups)
        return taken

    def take_followup(self) -> tuple[str, ...]:
        """The first waiting follow-up as a tuple of one, or the empty tuple."""
        taken = self.followups[:1]
        if taken:
            self._set(self.steering, self.followups[1:])
        return taken

    def replace(self, steering: tuple[str, ...], followups: tuple[str, ...]) -> None:
        """Put these in the place of all that waits."""
        self._set(steering, followups)

    def _set(self, steering: tuple[str, ...], followups: tuple[str, ...]) -> None:
        self.steering, self.followups = steering, followups
        self._emit(QueueChanged(steering, followups))
