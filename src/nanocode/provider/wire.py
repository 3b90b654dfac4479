"""Our messages to chat-completions JSON and its chunks back to deltas; knows every vendor's spelling, no sockets."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from nanocode.jsontext import dumps, loads
from nanocode.messages import Assistant, Call, Image, Message, System, ToolAnswer, Usage, User
from nanocode.provider.catalog import Model
from nanocode.tool import Tool


class CallDelta(NamedTuple):
    """A piece of one tool call; an absent part is None (position) or empty."""

    position: int | None
    id: str
    name: str
    arguments: str


class Delta(NamedTuple):
    """What one chunk adds. `error` is the server's in-band error value, `finish` its reason as sent."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[CallDelta, ...] = ()
    finish: str | None = None
    usage: Usage | None = None
    error: Any = None


NOTHING = Delta()
# What OpenAI takes for the name of a function: `^[a-zA-Z0-9_-]{1,64}$`.
_NO_NAME, _LONGEST_NAME = re.compile(r"[^A-Za-z0-9_-]"), 64


def request(
    model: Model, messages: Sequence[Message], tools: Iterable[Tool], *, max_output: int = 0, usage: bool = True
) -> bytes:
    """The body of a streamed chat-completions request. The same history gives the same bytes, so that prefixes cache.

    `max_output` 0 takes the catalogue's limit; `usage` False leaves `stream_options` out, which some servers refuse.
    """
    body: dict[str, Any] = {"model": model.id, "messages": list(_messages(model, messages)), "stream": True}
    if usage:
        body["stream_options"] = {"include_usage": True}
    if limit := max_output or model.output:
        body[model.limit_field] = limit
    if declared := [_declared(tool) for tool in tools]:
        body["tools"] = declared
    return dumps(body)


def _declared(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _messages(model: Model, messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    images: list[Image] = []
    replays = model.replays_reasoning
    for message in messages:
        if images and not isinstance(message, ToolAnswer):
            yield _user("The images of the tool results above.", images)
            images = []
        if isinstance(message, System):
            yield {"role": "system", "content": message.text}
        elif isinstance(message, User):
            yield _user(_seen(model, message), message.images if model.takes_images else ())
        elif isinstance(message, Assistant):
            yield from _assistant(message, replays)
        else:
            # Few servers take images inside a tool message, so they follow in a user message.
            images += message.images if model.takes_images else ()
            yield {"role": "tool", "tool_call_id": message.call_id, "content": _seen(model, message)}
    if images:
        yield _user("The images of the tool results above.", images)


def _seen(model: Model, message: User | ToolAnswer) -> str:
    """The text, with a word about images that a model switched to in the middle cannot take."""
    if not message.images or model.takes_images:
        return message.text
    return f"{message.text}\n[images left out, as this model takes none: {len(message.images)}]"


def _user(text: str, images: Sequence[Image]) -> dict[str, Any]:
    if not images:
        return {"role": "user", "content": text}
    parts = [{"type": "image_url", "image_url": {"url": f"data:{i.mime};base64,{i.data}"}} for i in images]
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def _assistant(message: Assistant, replays: bool) -> Iterator[dict[str, Any]]:
    if not message.text and not message.calls:
        return  # Kimi refuses an assistant message without content.
    sent: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    if message.reasoning or (replays and message.calls):
        # Kimi and DeepSeek answer 400 to a call without the reasoning that led to it.
        sent["reasoning_content"] = message.reasoning
    if message.calls:
        sent["tool_calls"] = [{"id": call.id, "type": "function", "function": _called(call)} for call in message.calls]
    yield sent


def _called(call: Call) -> dict[str, str]:
    # A name that a model made up may be none that a server takes, and each later request would be refused for it.
    name = _NO_NAME.sub("_", call.name)[:_LONGEST_NAME] or "unknown"
    return {"name": name, "arguments": _sendable(call.arguments)}


@lru_cache(maxsize=4096)
def _sendable(arguments: str) -> str:
    # Chat templates of local servers parse the replayed arguments and fail on broken ones.
    try:
        return arguments if isinstance(loads(arguments), dict) else "{}"
    except ValueError:
        return "{}"


def delta(chunk: Any) -> Delta:
    """What a parsed chunk (or a whole plain completion) adds; anything that says nothing is `NOTHING`."""
    chunk = _mapping(chunk)
    choice = _choice(chunk.get("choices"))
    error = chunk.get("error") or choice.get("error")
    usage = _usage(chunk.get("usage") or choice.get("usage") or _mapping(chunk.get("x_groq")).get("usage"))
    # Some servers write "" where others write null.
    reason = choice.get("finish_reason")
    finish = reason if isinstance(reason, str) and reason else None
    part = choice.get("delta") or choice.get("message")
    if not isinstance(part, dict):
        return Delta(finish=finish, usage=usage, error=error) if finish is not None or usage or error else NOTHING
    text = _text(part.get("content")) or _text(part.get("refusal"))
    return Delta(text, _reasoning(part), _calls(part), finish, usage, error)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _choice(choices: Any) -> Mapping[str, Any]:
    for choice in _list(choices):
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return {}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_text(_mapping(part).get("text") or part) for part in _list(content))


def _reasoning(part: Mapping[str, Any]) -> str:
    for name in ("reasoning_content", "reasoning", "reasoning_text"):
        if text := part.get(name):
            return _text(text)
    details = part.get("reasoning_details")
    return "".join(_text(_mapping(each).get("text") or _mapping(each).get("summary")) for each in _list(details))


def _calls(part: Mapping[str, Any]) -> tuple[CallDelta, ...]:
    calls = part.get("tool_calls")
    if not calls:
        legacy = part.get("function_call")
        return (_call({"index": 0, "function": legacy}),) if legacy else ()
    return tuple(_call(each) for each in _list(calls) if isinstance(each, dict))


def _call(call: Mapping[str, Any]) -> CallDelta:
    function = _mapping(call.get("function"))
    index, arguments = call.get("index"), function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else dumps(arguments).decode()
    return CallDelta(
        index if isinstance(index, int) else None, str(call.get("id") or ""), str(function.get("name") or ""), arguments
    )


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    cached = _mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    cached = cached or usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens")
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0
