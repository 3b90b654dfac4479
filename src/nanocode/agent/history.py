"""The conversation as it is sent: append-only, and every call is answered; knows nothing of how messages come."""

from collections.abc import Iterable

from nanocode.messages import Assistant, Call, Message, ToolAnswer, User

INTERRUPTED = "[interrupted: this call was stopped before its end, and its effect is unknown]"


class History:
    """Messages in order, without the system prompt. `messages` is a tuple: a snapshot stays what it was."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.messages: tuple[Message, ...] = tuple(messages)

    def add(self, *messages: Message) -> None:
        self.messages += messages

    def close(self, words: str = INTERRUPTED) -> tuple[ToolAnswer, ...]:
        """Answer every call that has no answer yet, so that the next request is valid; the answers added."""
        answers = tuple(ToolAnswer(call.id, call.name, words, failed=True) for call in unanswered(self.messages))
        self.add(*answers)
        return answers

    def clear(self) -> None:
        self.messages = ()


def unanswered(messages: tuple[Message, ...]) -> tuple[Call, ...]:
    """The calls at the end of the conversation that have no answer, in call order."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ToolAnswer):
            answered.add(message.call_id)
        elif isinstance(message, Assistant):
            return tuple(call for call in message.calls if call.id not in answered)
        elif isinstance(message, User):
            return ()
    return ()
