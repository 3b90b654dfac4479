"""The line below the prompt, and how tokens, money and time are written; knows no keys."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from weakref import WeakKeyDictionary

from nanocode.messages import Usage
from nanocode.session import Session
from nanocode.ui.rows import clean

_COMMIT, _LINE = 7, 1 << 10


def count(tokens: int) -> str:
    """`950`, `13.4k`, `1.2M`."""
    if tokens < 1000:
        return str(tokens)
    if tokens < 999_950:
        return f"{tokens / 1000:.1f}k" if tokens < 99_950 else f"{tokens / 1000:.0f}k"
    return f"{tokens / 1e6:.1f}M"


def money(dollars: float) -> str:
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}" if dollars else "$0"


def spent_words(usage: Usage, cost: float | None) -> str:
    """` · 13.4k in (9k cached) · 1.2k out · $0.0123`, as far as it is known."""
    if usage == Usage():
        return ""
    cached = f" ({count(usage.cached)} cached)" if usage.cached else ""
    price = f" · {money(cost)}" if cost else ""
    return f" · {count(usage.input)} in{cached} · {count(usage.output)} out{price}"


def _model(session: Session) -> str:
    return session.agent.model.id


def _context(session: Session) -> str:
    agent = session.agent
    window = agent.window.budget(agent.model).window
    state = (agent.history.messages, agent.system, window)
    known, words = _read.get(session, ((), ""))
    # Asked for at every frame; comparing by identity costs nothing, counting a long history does.
    if len(known) != len(state) or any(old is not new for old, new in zip(known, state, strict=True)):
        words = _share(session, window)
        _read[session] = state, words
    return words


def _share(session: Session, window: int) -> str:
    agent = session.agent
    if not agent.history.messages:
        return count(window)
    reading = agent.window.read(agent.request)
    # The server's own count stands as it is, an estimate shows as one.
    about = "" if reading.counted else "~"
    return f"{about}{100 * reading.tokens / window:.0f}% of {count(window)}"


def _spent(session: Session) -> str:
    usage, cost = session.spent.usage, session.spent.cost
    tokens = f"{count(usage.input)} in {count(usage.output)} out" if usage != Usage() else ""
    return f"{tokens} {money(cost)}" if tokens and cost else tokens


def _queue(session: Session) -> str:
    waiting = len(session.inbox.steering) + len(session.inbox.followups)
    return f"{waiting} queued" if waiting else ""


def _jobs(session: Session) -> str:
    running = sum(job.outcome is None for job in session.board.jobs.values())
    return f"{running} job{'s' if running > 1 else ''}" if running else ""


def _branch(session: Session) -> str:
    return branch(session.settings.cwd)


def branch(folder: Path) -> str:
    """The branch of the repository around `folder`, as git wrote it down; seven digits of a commit where there is none.

    "" outside of a repository, and for one whose branches are not files.
    """
    for place in (folder / ".git", *(above / ".git" for above in folder.parents)):
        # In a worktree and in a submodule it is a file that names the folder.
        home = place.parent / _line(place).removeprefix("gitdir: ") if place.is_file() else place
        if head := _line(home / "HEAD"):
            name = head.removeprefix("ref: refs/heads/")
            return "" if name == ".invalid" else name if name != head else head[:_COMMIT]
    return ""


def _line(path: Path) -> str:
    with suppress(OSError, ValueError):
        # Whoever made the folder may have put a pipe there.
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                return clean(file.readline(_LINE))
    return ""


# The state that a share of the window was read from, and its words.
_read: "WeakKeyDictionary[Session, tuple[tuple[object, ...], str]]" = WeakKeyDictionary()

# What the toolbar says, in order; a slot that gives "" is left out.
SLOTS: tuple[Callable[[Session], str], ...] = (_model, _context, _spent, _queue, _jobs, _branch)


def toolbar(session: Session, columns: int) -> str:
    """As many slots as fit into `columns`."""
    text = ""
    for slot in SLOTS:
        words = slot(session)
        longer = f"{text} · {words}" if text and words else text or words
        if len(longer) > columns:
            break
        text = longer
    return text
