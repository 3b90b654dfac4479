"""The conversation as values: frozen, comparable, JSON both ways; knows nothing of any provider's spelling."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nanocode.frozen import frozen

# How a message in the user's place begins that holds no words of the user.
JOB_ENDED, USER_DID = "[Background job ", "[The user "


@frozen
class Image:
    """A picture for the model: `mime` such as `image/png`, `data` in base64."""

    mime: str
    data: str


@frozen
class System:
    """What the model is told before everything else."""

    text: str


@frozen
class User:
    """What the user says."""

    text: str
    images: tuple[Image, ...] = ()


@frozen
class Call:
    """One tool call; `arguments` is the model's JSON text, byte for byte, parsed once at dispatch."""

    id: str
    name: str
    arguments: str


@frozen
class Usage:
    """Tokens as the server counted them; `cached` is the part of `input` read from its prefix cache."""

    input: int = 0
    output: int = 0
    cached: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input + other.input, self.output + other.output, self.cached + other.cached)


@frozen
class Assistant:
    """An answer. `stop`: stop, calls, length, filter or interrupted."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage | None = None
    stop: str = "stop"


@frozen
class ToolAnswer:
    """The one answer to the call `call_id`; `failed` marks words about an error."""

    call_id: str
    name: str
    text: str
    failed: bool = False
    images: tuple[Image, ...] = ()


Message = System | User | Assistant | ToolAnswer

_ROLES: dict[str, type[System] | type[User] | type[Assistant] | type[ToolAnswer]] = {
    "system": System,
    "user": User,
    "assistant": Assistant,
    "tool": ToolAnswer,
}


def role(message: Message) -> str:
    return next(name for name, kind in _ROLES.items() if isinstance(message, kind))


def to_json(message: Message) -> dict[str, Any]:
    """A plain dict with `role` first; `from_json` gives the equal message back."""
    return {"role": role(message), **asdict(message)}


def from_json(data: Mapping[str, Any]) -> Message:
    """The message of a `to_json` dict, whatever else it holds. Raises KeyError or TypeError on anything else.

    Written out for each kind: a long session resumes in the time that it takes to parse it.
    """
    match data["role"]:
        case "tool":
            failed = data.get("failed", False)
            return ToolAnswer(_text(data["call_id"]), _text(data["name"]), _text(data["text"]), failed, _images(data))
        case "assistant":
            calls = tuple([_call(each) for each in data.get("calls", ())])
            used = data.get("usage")
            usage = None if used is None else Usage(**used)
            text, reasoning = _text(data.get("text", "")), _text(data.get("reasoning", ""))
            return Assistant(text, reasoning, calls, usage, _text(data.get("stop", "stop")))
        case "user":
            return User(_text(data["text"]), _images(data))
        case "system":
            return System(_text(data["text"]))
    raise KeyError(data["role"])


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"a text, not {value!r:.40}")
    return value


def _call(data: Mapping[str, Any]) -> Call:
    return Call(_text(data["id"]), _text(data["name"]), _text(data["arguments"]))


def _images(data: Mapping[str, Any]) -> tuple[Image, ...]:
    found = data.get("images")
    return tuple([Image(_text(each["mime"]), _text(each["data"])) for each in found]) if found else ()
