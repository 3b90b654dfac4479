"""The rows over the prompt: what works and for how long, jobs, what waits; knows no keys and no painter."""

import time
from collections.abc import Iterable, Sequence

from nanocode.session import Session
from nanocode.ui.rows import CYAN, DIM, Row, clean, cut

# How often the spinner turns.
TICK_SECONDS = 0.25
_SPINNER = "·✢✳✶✻✽✻✶✳✢"
_QUEUE_ROWS, _JOB_ROWS = 3, 4


def status(
    session: Session, columns: int, *, doing: str, since: float, notes: Sequence[str], waiting: Sequence[str]
) -> list[Row]:
    """What a turn is `doing`, "" for none, `since` when; the jobs; notes; what waits, the session's own queue last."""
    inbox = session.inbox
    queue = [*waiting, *inbox.steering, *(f"then: {text}" for text in inbox.followups)]
    jobs = [each.line() for each in session.board.running[:_JOB_ROWS]]
    lines = [*jobs, *notes, *(f"↳ {' '.join(line.split())}" for line in _first(queue))]
    turn = [_doing(doing, time.monotonic() - since, columns)] if doing else []
    return [*turn, *([(DIM, cut(clean(line), columns - 1))] for line in lines)]


def _doing(words: str, seconds: float, columns: int) -> Row:
    mark = _SPINNER[int(seconds / TICK_SECONDS) % len(_SPINNER)]
    return [(CYAN, f"{mark} "), (DIM, cut(f"{words} · {seconds:.0f} s · esc to interrupt", columns - 3))]


def _first(words: Sequence[str]) -> Iterable[str]:
    rest = len(words) - _QUEUE_ROWS
    return [*words[:_QUEUE_ROWS], f"+{rest} more"] if rest > 0 else words
