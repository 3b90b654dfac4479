"""How many tokens the conversation is: estimated, and anchored to what the server counted; knows no limits."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from nanocode.hot import estimate_tokens
from nanocode.jsontext import dumps
from nanocode.messages import Assistant, Message, ToolAnswer, Usage, User
from nanocode.tool import Tool

# What a chat template adds to each message: 10 to 12 in recorded sessions of several vendors.
OVERHEAD = 11
# Vendors count 1,200 to 3,000 for a large picture, whatever the size of its base64.
IMAGE = 1600
# A sample weighs as many tokens as it is, and this share of that with each later one.
_KEPT = 0.95
# The first is mostly system prompt and tools, which every vendor writes in its own way: it weighs at most so many.
_FIRST = 300
# Outside of these the server's number counts something else (cached tokens left out, reasoning dropped).
_LOW, _HIGH = 0.4, 2.5


class Reading(NamedTuple):
    """`tokens` in the window; `counted` is the part of them that the server itself counted."""

    tokens: int
    counted: int


class Gauge:
    """Counts for one model. `ratio` is what the server counts for each token of ours, learned as answers come.

    `count` is our counter of a text: the estimate, or an exact one (`exact` names it).
    """

    def __init__(self, count: Callable[[str], int] = estimate_tokens, exact: str = "") -> None:
        self.exact = exact
        self.ratio = 1.0
        self._ours = self._theirs = 0.0
        self._count = count
        self._known: dict[int, tuple[Message, int]] = {}

    def text(self, text: str) -> int:
        """Our count of a text, without the ratio."""
        return self._count(text)

    def message(self, message: Message) -> int:
        """Our count of a message, without the ratio; kept as long as the message is."""
        known = self._known.get(id(message))
        if known is None:
            known = self._known[id(message)] = (message, self._counted(message))
        return known[1]

    def tools(self, tools: Iterable[Tool]) -> int:
        """Our count of the tools' declarations."""
        return sum(self._count(f"{tool.name} {tool.description} {dumps(tool.parameters).decode()}") for tool in tools)

    def read(self, fixed: int, messages: Sequence[Message]) -> Reading:
        """What the next request holds: `fixed` (our count of system prompt and tools) and the messages.

        The last answer with a usage is the anchor: only what came after it is estimated. A conversation whose
        messages were replaced has no usage in it that counted something else.
        """
        if len(self._known) > 2 * len(messages) + 256:
            self._known = {}
        counts = self._counts(messages)
        place = _anchor(messages)
        usage = _usage(messages[place]) if place >= 0 else Usage()
        if place >= 0 and self._plausible(usage.input, fixed + sum(counts[:place])):
            counted = usage.input + usage.output
            return Reading(counted + round(self.ratio * sum(counts[place + 1 :])), counted)
        return Reading(round(self.ratio * (fixed + sum(counts))), 0)

    def learn(self, fixed: int, messages: Sequence[Message]) -> None:
        """Take the usage of the last message, an answer, as a sample of the ratio."""
        usage, place = _usage(messages[-1]), _anchor(messages[:-1])
        if not usage.input:
            return
        before = _usage(messages[place]) if place >= 0 else Usage()
        ours = sum(self._counts(messages[place + 1 : -1])) + (fixed if place < 0 else 0)
        theirs = usage.input - before.input - before.output
        if ours and _LOW * ours <= theirs <= _HIGH * ours:
            weight = min(_FIRST / ours, 1.0) if place < 0 else 1.0
            self._ours = _KEPT * self._ours + weight * ours
            self._theirs = _KEPT * self._theirs + weight * theirs
            self.ratio = self._theirs / self._ours

    def _plausible(self, theirs: int, ours: int) -> bool:
        return theirs >= _LOW * ours

    def _counts(self, messages: Sequence[Message]) -> list[int]:
        return [self.message(each) for each in messages]

    def _counted(self, message: Message) -> int:
        images = len(message.images) if isinstance(message, User | ToolAnswer) else 0
        return OVERHEAD + IMAGE * images + sum(map(self._count, _texts(message)))


def _texts(message: Message) -> Iterable[str]:
    yield message.text
    if isinstance(message, Assistant):
        yield message.reasoning
        for call in message.calls:
            yield f"{call.name} {call.arguments}"


def _usage(message: Message) -> Usage:
    return message.usage or Usage() if isinstance(message, Assistant) else Usage()


def _anchor(messages: Sequence[Message]) -> int:
    """The place of the last answer that the server gave a usage for, -1 without one."""
    return next((place for place in reversed(range(len(messages))) if _usage(messages[place]).input), -1)
