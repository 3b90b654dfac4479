"""The commands on what waits for the agent: steering and follow-ups; knows nothing of how it is delivered."""

import json

from nanocode.errors import UsageError
from nanocode.jsontext import loads
from nanocode.ui.desk import Desk

_KINDS = ("steering", "followups")


async def steer(desk: Desk, text: str) -> str:
    """Say `text` before the next model call."""
    if not text:
        raise UsageError("`/steer` needs a message", "such as /steer use the other file")
    desk.send(text)
    return ""


async def queue(desk: Desk, text: str) -> str:
    """Say `text` after the current work; alone, list what waits."""
    if not text:
        return _listed(desk)
    if desk.working:
        desk.session.inbox.follow_up(text)
    else:
        desk.send(text)
    return ""


async def dequeue(desk: Desk, argument: str) -> str:
    """Take everything back and show it, or edit it as JSON."""
    inbox = desk.session.inbox
    if argument not in ("", "edit"):
        raise UsageError(f"`/dequeue {argument}` is unknown", "`/dequeue` takes all back, `/dequeue edit` edits it")
    if not inbox.steering and not inbox.followups:
        return "nothing is queued"
    if argument == "edit":
        return await _edited(desk)
    listed = _listed(desk)
    inbox.replace((), ())
    return f"taken back:\n{listed}"


def _listed(desk: Desk) -> str:
    inbox = desk.session.inbox
    rows = [f"steer: {text}" for text in inbox.steering] + [f"then: {text}" for text in inbox.followups]
    return "\n".join(rows) or "nothing is queued"


async def _edited(desk: Desk) -> str:
    inbox = desk.session.inbox
    before = inbox.steering, inbox.followups
    # What is under the editor is not delivered meanwhile, and what is queued meanwhile stays behind it.
    inbox.replace((), ())
    after = before
    try:
        text = json.dumps(dict(zip(_KINDS, before, strict=True)), indent=2, ensure_ascii=False)
        after = _parsed(await desk.edit(text, ".json"))
    finally:
        inbox.replace(after[0] + inbox.steering, after[1] + inbox.followups)
    if not desk.working and (after[0] or after[1]):
        return "the turn has ended meanwhile; Enter on an empty prompt sends the queue\n" + _listed(desk)
    return _listed(desk)


def _parsed(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        value = loads(text)
    except ValueError as error:
        raise UsageError(f"that is not JSON: {error}", "the queue is as it was") from None
    if not isinstance(value, dict) or not all(_texts(value.get(kind, [])) for kind in _KINDS):
        words = 'the queue is as it was; it looks like {"steering": ["…"], "followups": ["…"]}'
        raise UsageError("that is not a queue", words)
    first, second = (tuple(each for each in value.get(kind, []) if each.strip()) for kind in _KINDS)
    return first, second


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
