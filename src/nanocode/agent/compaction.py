"""Which part of a conversation gives way to a summary, and what takes its place; pure, knows no model and no request.

Messages are never torn apart: a cut is before a user's message or an answer of the model, so that each call stays
with its answers. A turn that is too long by itself is cut before one of its answers; its first part is summarised, and
the user's words that began it are repeated to the letter.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from nanocode.jsontext import loads
from nanocode.messages import JOB_ENDED, USER_DID, Assistant, Call, Message, ToolAnswer, User
from nanocode.settings import Settings

HEAD = "[The conversation up to here was compacted to make room. What follows stands for all of it.]"
_LEAST_WINDOW = 1000
_MOST_FILES = 200
_PATHS = ("path", "file_path", "filePath", "filename")
_CHANGING = ("write", "edit")
_BLOCKS = re.compile(
    re.escape(HEAD)
    + "".join(
        rf"(?:\n\n<{name}>\n(?P<{name.replace('-', '_')}>.*?)\n</{name}>)?"
        for name in ("files-read", "files-changed", "last-request")
    )
    + r"\n\n<summary>\n",
    re.DOTALL,
)


class Budget(NamedTuple):
    """Tokens: the model's `window`, what a request must leave free, and how much of the end stays word for word."""

    window: int
    reserve: int
    keep: int

    @property
    def limit(self) -> int:
        """A request of this size or more is too large."""
        return self.window - self.reserve


def budget(settings: Settings, window: int) -> Budget:
    """The settings' figures, made to fit the window: at most half of it free, at most half of the rest kept."""
    window = max(settings.context_window or window, _LEAST_WINDOW)
    ratio = 1 - settings.compaction_trigger if settings.compaction_trigger else settings.compaction_remaining
    reserve = min(max(settings.compaction_reserve, round(ratio * window)), window // 2)
    return Budget(window, reserve, min(settings.compaction_keep, (window - reserve) // 2))


class Plan(NamedTuple):
    """`past` is to be summarised, `kept` stays; nothing in `past` means that shortening `kept` was enough."""

    past: tuple[Message, ...]
    kept: tuple[Message, ...]


def plan(messages: Sequence[Message], count: Callable[[Message], int], budget: Budget, fixed: int = 0) -> Plan | None:
    """What to do with a conversation that is too large; None when nothing in it can give way.

    `count` gives a message's tokens and `fixed` those of the system prompt and the tools. The last message always
    stays. Tool results that alone would fill the window lose their middle.
    """
    cut = _cut(messages, count, budget.keep)
    past, whole = tuple(messages[:cut]), tuple(messages[cut:])
    # The summary itself needs room, and the answer after it the reserve.
    kept = _fitted(whole, count, max(budget.keep, (budget.limit - fixed) * 3 // 4))
    if all(map(is_summary, past)):
        return Plan((), (*past, *kept)) if kept != whole else None
    return Plan(past, kept)


def _cut(messages: Sequence[Message], count: Callable[[Message], int], keep: int) -> int:
    """The first place from which the rest is at most `keep` tokens; the last possible one when none is."""
    total, best = 0, len(messages)
    for place in reversed(range(len(messages))):
        total += count(messages[place])
        if total > keep and best < len(messages):
            break
        if not isinstance(messages[place], ToolAnswer):
            best = place
    return best if best < len(messages) else 0


def _fitted(kept: tuple[Message, ...], count: Callable[[Message], int], room: int) -> tuple[Message, ...]:
    fitted, over = list(kept), sum(map(count, kept)) - room
    answers = [place for place, each in enumerate(kept) if isinstance(each, ToolAnswer)]
    for place in sorted(answers, key=lambda place: count(kept[place]), reverse=True):
        if over <= 0:
            break
        whole = kept[place]
        fitted[place] = _without_middle(whole, 1 - over / count(whole))
        over -= count(whole) - count(fitted[place])
    return tuple(fitted)


def _without_middle(message: Message, share: float) -> Message:
    text = message.text
    half = int(len(text) * max(share, 0.02) * 0.45)
    if len(text) < 400:
        return message
    left_out = len(text) - 2 * half
    return replace(message, text=f"{text[:half]}\n[… {left_out} characters left out to make room …]\n{text[-half:]}")


def is_summary(message: Message) -> bool:
    return isinstance(message, User) and message.text.startswith(HEAD)


def compacted(plan: Plan, summary: str) -> tuple[Message, ...]:
    """The conversation that takes the place of the old one.

    Kept answers lose their usage, which counted what is gone.
    """
    kept = tuple(replace(each, usage=None) if isinstance(each, Assistant) else each for each in plan.kept)
    if not plan.past:
        return kept
    asked = "" if any(map(is_asked, plan.kept)) else last_request(plan.past)
    read, changed = files(plan.past)
    parts = [HEAD, _block("files-read", read), _block("files-changed", changed), _block("last-request", [asked])]
    return (User("\n\n".join(filter(None, [*parts, f"<summary>\n{summary.strip()}\n</summary>"]))), *kept)


def _block(name: str, lines: Sequence[str]) -> str:
    return f"<{name}>\n" + "\n".join(lines) + f"\n</{name}>" if any(lines) else ""


def _blocked(text: str, name: str) -> str:
    """What `_block` wrote: neither the user's words nor the model's, which may look like blocks, are taken for one."""
    return (match[name.replace("-", "_")] if (match := _BLOCKS.match(text)) else "") or ""


def last_request(messages: Iterable[Message]) -> str:
    """The user's last words, also where an earlier compaction repeated them."""
    text = next((each.text for each in reversed(list(messages)) if is_asked(each) or is_summary(each)), "")
    return _blocked(text, "last-request") if text.startswith(HEAD) else text


def is_asked(message: Message) -> bool:
    """Whether it holds words of the user."""
    return isinstance(message, User) and not message.text.startswith((HEAD, JOB_ENDED, USER_DID))


def files(messages: Sequence[Message]) -> tuple[list[str], list[str]]:
    """The files that were only read and those that were changed, by the calls and by what earlier compactions list.

    Of very many the last are named.
    """
    failed = {each.call_id for each in messages if isinstance(each, ToolAnswer) and each.failed}
    read: dict[str, None] = {}
    changed: dict[str, None] = {}
    for message in messages:
        if is_summary(message):
            read |= dict.fromkeys(_blocked(message.text, "files-read").splitlines())
            changed |= dict.fromkeys(_blocked(message.text, "files-changed").splitlines())
        for name, path in _touched(message, failed):
            (changed if name in _CHANGING else read)[path] = None
    return [path for path in read if path not in changed][-_MOST_FILES:], list(changed)[-_MOST_FILES:]


def _touched(message: Message, failed: set[str]) -> Iterator[tuple[str, str]]:
    for call in message.calls if isinstance(message, Assistant) else ():
        if call.id not in failed and call.name in ("read", *_CHANGING) and (path := _path(call)):
            yield call.name, path


def _path(call: Call) -> str:
    try:
        arguments = loads(call.arguments)
    except ValueError:
        return ""
    given = [arguments.get(name) for name in _PATHS] if isinstance(arguments, dict) else []
    return next((" ".join(each.split("\n")) for each in given if isinstance(each, str)), "")
