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
    neither id nor name. A twin may pass on an ordinary frame it does not want to read (odd escapes, deep nesting,
    doubled keys); it never turns a frame into a piece that says anything else than the frame does. Linear in the
    bytes.
    """
    fused: list[Frame | Piece] = []
    run: list[str] = []
    kind = position = -1
    for frame in frames:
        piece = _piece(frame)
        if run and (piece is None or piece[0] != kind or piece[1] != position):
            fused.append((kind, position, "".join(run)))
            run = []
        if piece is None:
            fused.append(frame)
        elif piece[2]:
            kind, position, text = piece
            run.append(text)
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
    if not isinstance(chunk, dict) or not chunk.get("error") is chunk.get("usage") is chunk.get("x_groq") is None:
        return None
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if choice.get("index", 0) != 0 or not isinstance(delta, dict) or not delta:
        return None
    if not choice.get("finish_reason") is choice.get("error") is choice.get("usage") is choice.get("message") is None:
        return None
    if not delta.get("refusal") is delta.get("function_call") is delta.get("reasoning_text") is None:
        return None
    return _said(delta)


def _said(delta: Mapping[str, Any]) -> Piece | None:
    content, calls = delta.get("content"), delta.get("tool_calls")
    first, second = delta.get("reasoning_content"), delta.get("reasoning")
    thinks = first or second
    if not thinks and (details := delta.get("reasoning_details")):
        return None if content or calls is not None else _detailed(details)
    if calls is not None:
        return None if content or thinks else _arguments(calls)
    if isinstance(content, str) and not thinks:
        return TEXT, 0, content
    thought = second if first is None else first
    alone = first is None or second is None
    return (REASONING, 0, thought) if alone and not content and isinstance(thought, str) else None


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
