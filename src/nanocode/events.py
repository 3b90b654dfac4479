"""Everything that happens in a run, as one stream of values; knows nothing of who listens.

Grammar: one `RunStarted` first, one `RunEnded` last. A model's answer is text and reasoning deltas and call
starts, then its `MessageAdded`; the text deltas since the last `Retrying` join to the message's text. Each
`ToolStarted` has one later `ToolEnded` with the same id. No event repeats what an earlier delta said, so the
stream grows linearly; only `RunEnded` holds the run's messages once more.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar

from nanocode.frozen import frozen
from nanocode.jsontext import dumps, loads
from nanocode.messages import Message, Usage, from_json, to_json


@frozen
class SessionOpened:
    """The header line of a machine-read stream; not part of a run."""

    type: ClassVar = "session"
    version: str
    id: str
    cwd: str
    model: str


@frozen
class RunStarted:
    """A prompt was taken up."""

    type: ClassVar = "turn_start"
    model: str


@frozen
class MessageAdded:
    """A message is now in the history."""

    type: ClassVar = "message_end"
    message: Message


@frozen
class TextDelta:
    """The next piece of the answer."""

    type: ClassVar = "text_delta"
    text: str


@frozen
class ReasoningDelta:
    """The next piece of what the model thinks."""

    type: ClassVar = "reasoning_delta"
    text: str


@frozen
class CallStarted:
    """The model began to write a call; its arguments are still arriving."""

    type: ClassVar = "call_start"
    name: str


@frozen
class ToolStarted:
    """`args` is the object the model sent, or its raw text where that was not a JSON object."""

    type: ClassVar = "tool_start"
    id: str
    name: str
    args: Mapping[str, Any] | str


@frozen
class ToolOutput:
    """Output of a running tool as it comes; a fast one is thinned out."""

    type: ClassVar = "tool_output"
    id: str
    text: str


@frozen
class ToolEnded:
    """`result` is what the model reads; `is_error` marks words about a failure; `details` a display may use: a diff."""

    type: ClassVar = "tool_end"
    id: str
    name: str
    result: str
    is_error: bool
    duration_ms: int
    details: str = ""


@frozen
class UsageReported:
    """One request's tokens; `cost` in dollars, None where the price is unknown."""

    type: ClassVar = "usage"
    usage: Usage
    cost: float | None


@frozen
class Retrying:
    """Try `attempt` failed for `reason`; the next follows in `delay` seconds, and deltas since are void."""

    type: ClassVar = "retry"
    attempt: int
    delay: float
    reason: str


@frozen
class Compacted:
    """The conversation goes on from `messages` instead of what it was: a summary and its last messages, as they are.

    `before` and `after` are tokens of the whole request.
    """

    type: ClassVar = "compaction"
    before: int
    after: int
    summary: str
    messages: tuple[Message, ...]


@frozen
class QueueChanged:
    """What waits in the inbox now."""

    type: ClassVar = "queue"
    steering: tuple[str, ...]
    followups: tuple[str, ...]


@frozen
class JobChanged:
    """A child agent began, does something else now, or ended. `state`: running, done, failed, cancelled or timeout.

    `activity` is the tool at work, `seconds` the time since the start. `usage` and `cost` count once the job has
    ended, and then are all that it used, its own children included.
    """

    type: ClassVar = "job"
    id: str
    state: str
    prompt: str
    background: bool
    activity: str
    seconds: float
    usage: Usage = Usage()
    cost: float | None = 0.0
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.state != "running"


@frozen
class Notice:
    """Something a person should know; nothing depends on it."""

    type: ClassVar = "notice"
    text: str


@frozen
class RunEnded:
    """`stop_reason`: done, failed, transient, limit or interrupted; `error` and `hint` say why when not done."""

    type: ClassVar = "agent_end"
    text: str
    messages: tuple[Message, ...]
    stop_reason: str
    usage: Usage
    cost: float | None
    error: str = ""
    hint: str = ""


Event = (
    SessionOpened
    | RunStarted
    | MessageAdded
    | TextDelta
    | ReasoningDelta
    | CallStarted
    | ToolStarted
    | ToolOutput
    | ToolEnded
    | UsageReported
    | Retrying
    | Compacted
    | QueueChanged
    | JobChanged
    | Notice
    | RunEnded
)
Emit = Callable[[Event], None]

_KINDS: dict[str, Any] = {kind.type: kind for kind in Event.__args__}


def encode(event: Event) -> bytes:
    """One JSON line, newline included, keys in camelCase after `type`."""
    line: dict[str, Any] = {"type": event.type}
    if isinstance(event, MessageAdded):
        line |= _renamed(to_json(event.message), "calls", "toolCalls")
    else:
        line |= {_camel(field.name): _plain(getattr(event, field.name)) for field in fields(event)}
    return dumps(line) + b"\n"


def decode(line: bytes) -> Event:
    """The event of an `encode` line. Raises ValueError on anything else."""
    try:
        data = loads(line)
        kind = _KINDS[data.pop("type")]
        if kind is MessageAdded:
            return MessageAdded(from_json(_renamed(data, "toolCalls", "calls")))
        return kind(**{field.name: _value(field.name, data[_camel(field.name)]) for field in fields(kind)})  # type: ignore[no-any-return]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event line: {error!r}") from error


def _renamed(data: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in data.items()}


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)


def _plain(value: Any) -> Any:
    if isinstance(value, Usage):
        return {"input": value.input, "output": value.output, "cached": value.cached}
    if isinstance(value, tuple):
        return [item if isinstance(item, str) else to_json(item) for item in value]
    return value


def _value(name: str, value: Any) -> Any:
    if name == "usage":
        return Usage(**value)
    if name == "messages":
        return tuple(from_json(item) for item in value)
    return tuple(value) if isinstance(value, list) else value
