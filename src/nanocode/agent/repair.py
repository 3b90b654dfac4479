"""Makes a conversation of unknown origin valid: each call has one answer, right behind it; knows nothing of files."""

from collections.abc import Iterable

from nanocode.messages import Assistant, Message, ToolAnswer

LOST = "[interrupted: nanocode ended before this call did, and its effect is unknown]"


def repaired(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages without answers that no call asked for, and with an answer for each call that has none."""
    sound: list[Message] = []
    waiting: dict[str, str] = {}
    for message in messages:
        if isinstance(message, ToolAnswer):
            if waiting.pop(message.call_id, None) is None:
                continue
        else:
            sound += _closing(waiting)
            waiting = {call.id: call.name for call in message.calls} if isinstance(message, Assistant) else {}
        sound.append(message)
    return (*sound, *_closing(waiting))


def _closing(waiting: dict[str, str]) -> list[ToolAnswer]:
    return [ToolAnswer(id, name, LOST, failed=True) for id, name in waiting.items()]
