"""Where a conversation is taken up again when the user takes words back; pure, knows no file."""

from collections.abc import Sequence

from nanocode.agent.compaction import is_asked, is_summary
from nanocode.errors import UsageError
from nanocode.messages import Message


def words_back(messages: Sequence[Message], count: int) -> int:
    """The place of the user's `count`th last message. Raises UsageError when there are not so many."""
    asked = [place for place, message in enumerate(messages) if is_asked(message)]
    if not 0 < count <= len(asked):
        raise UsageError(f"{len(asked)} of your messages can be taken back, not {count}")
    return asked[-count]


def begins(now: Sequence[Message], saved: Sequence[Message]) -> bool:
    """Whether the conversation in memory begins with these messages of its file, where secrets are taken out."""
    compacted = bool(now) and is_summary(now[0])
    return not compacted and len(saved) <= len(now) and [*map(type, saved)] == [*map(type, now[: len(saved)])]
