"""Runs of ordinary chat chunks fused to one piece each, without building what they mean; knows no vendor's quirks."""

from collections.abc import Iterable, Mapping
from typing import Any

from nanocode.jsontext import loads

TEXT, REASONING, ARGUMENTS = 0, 1, 2

Frame = tuple[str, bytes]
Piece = tuple[int, int, str]


def fuse(frames: Iterable[Frame]) -> list[Frame | Piece]:
    """Ordinary chunks as pieces, all else as the frame it was, in order.

    A frame is an event of `SseDecoder.feed`: (name, payload). A piece is (kind, position, text): `kind` TEXT,
    REASONING or ARGUMENTS, `position` the call's index for ARGUMENTS and 0 else. Neighbouring pieces of one kind
    and position are joined, so a read of many tiny deltas is one piece; an empty piece is left out.

    Ordinary is a `message` event holding one JSON object with one choice of index 0 (or none), no finish reason,
    usage or error, whose delta adds just one of content, reasoning (`reasoning_content`, `reasoning`, or the one
    text in `reasoning_details`, which otherwise repeats them) and the arguments of one call with an index and
    neither id nor name. A twin may pass on an ordinary frame it does
    not want to read (odd escapes, deep nesting, doubled keys); it never turns a frame into a piece that says
    anything else than the frame does. Linear in the bytes.
    """
    fused: list[Frame | Piece] = []
    run: list[str] = []
    kind = position = -1
    for frame in frames:
        piece = _piece(frame)
        if run and (piece is None or piece[:2] != (kind, position)):
            fused.append((kind, position, "".join(run)))
            run = []
        if piece is None:
            fused.append(frame)
        elif piece[2]:
            kind, position = piece[:2]
            run.append(piece[2])
    if run:
        fused.append((kind, position, "".join(run)))
    return fused


def _piece(frame: Frame) -> Piece | None:
    if frame[0] != "message":
        return None
    try:
        chunk = loads(frame[1])
    except ValueError:
        return None
    if not isinstance(chunk, dict) or _any(chunk, "error", "usage", "x_groq"):
        return None
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if choice.get("index", 0) != 0 or not isinstance(delta, dict) or not delta:
        return None
    if choice.get("finish_reason") is not None or _any(choice, "error", "usage", "message"):
        return None
    if _any(delta, "refusal", "function_call", "reasoning_text"):
        return None
    return _said(delta)


def _any(value: Mapping[str, Any], *names: str) -> bool:
    return any(value.get(name) is not None for name in names)


def _said(delta: Mapping[str, Any]) -> Piece | None:
    content, calls = delta.get("content"), delta.get("tool_calls")
    thoughts = [text for name in ("reasoning_content", "reasoning") if (text := delta.get(name)) is not None]
    if not any(thoughts) and (details := delta.get("reasoning_details")):
        return None if content or calls is not None else _detailed(details)
    if calls is not None:
        return None if content or any(thoughts) else _arguments(calls)
    if len(thoughts) == 1 and not content and isinstance(thoughts[0], str):
        return REASONING, 0, thoughts[0]
    if isinstance(content, str) and not any(thoughts):
        return TEXT, 0, content
    return None


def _detailed(details: Any) -> Piece | None:
    if not isinstance(details, list) or len(details) != 1 or not isinstance(details[0], dict):
        return None
    text = details[0].get("text")
    return (REASONING, 0, text) if isinstance(text, str) and text else None


def _arguments(calls: Any) -> Piece | None:
    if not isinstance(calls, list) or len(calls) != 1 or not isinstance(calls[0], dict):
        return None
    call = calls[0]
    position, function = call.get("index"), call.get("function")
    if type(position) is not int or not 0 <= position < 1000 or call.get("id") or not isinstance(function, dict):
        return None
    arguments = function.get("arguments")
    if not isinstance(arguments, str) or function.get("name"):
        return None
    return ARGUMENTS, position, arguments
