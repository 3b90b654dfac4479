"""`/context` and `/compact` in words; knows nothing of how tokens are counted or conversations summed up."""

from nanocode.agent.gauge import OVERHEAD, Reading
from nanocode.errors import UsageError
from nanocode.session import Session
from nanocode.ui.changes import shown
from nanocode.ui.desk import Desk


async def compact(desk: Desk, argument: str) -> str:
    desk.show("… summing up the conversation")
    if await desk.session.compact(argument) is None:
        raise UsageError("there is nothing to compact yet", "`/context` shows what the window holds")
    # The event has said the figures.
    return ""


async def context(desk: Desk, argument: str) -> str:
    """What the window holds by parts, how much of it is known and how much estimated, and when it is compacted."""
    session = desk.session
    agent = session.agent
    await agent.window.refine(agent.model)
    reading, limits = agent.window.read(agent.request), agent.window.budget(agent.model)
    parts, names = _parts(session), _names(session)
    rows = [
        ("window", limits.window, f"of `{agent.model.id}`"),
        ("used", reading.tokens, f"{reading.tokens / limits.window:.0%}, {_source(session, reading)}"),
        *((f"  {name}", tokens, names.get(name, "")) for name, tokens in parts.items()),
        ("  messages", max(reading.tokens - sum(parts.values()), 0), str(len(agent.history.messages))),
        ("remaining", max(limits.window - reading.tokens, 0), ""),
        ("threshold", limits.limit, _when(session)),
    ]
    return "\n".join(f"{name:16}{tokens:>11,}  {words}".rstrip() for name, tokens, words in rows)


def _parts(session: Session) -> dict[str, int]:
    gauge = session.agent.window.gauge
    ours = {name: gauge.text(text) for name, text in session.sections().items() if text}
    ours["system"] += OVERHEAD
    ours["tools"] = gauge.tools(session.agent.request.tools)
    return {name: round(gauge.ratio * tokens) for name, tokens in ours.items()}


def _names(session: Session) -> dict[str, str]:
    """Where the parts come from."""
    around, cwd = session.around, session.settings.cwd
    return {
        "context files": ", ".join(shown(str(each.path), cwd) for each in around.context),
        "skills": ", ".join(name for name, skill in around.skills.items() if not skill.manual),
    }


def _source(session: Session, reading: Reading) -> str:
    gauge = session.agent.window.gauge
    ours = f"counted by {gauge.exact}" if gauge.exact else "estimated"
    if not reading.counted:
        return ours
    return "counted by the server" + (f", {rest:,} of it {ours}" if (rest := reading.tokens - reading.counted) else "")


def _when(session: Session) -> str:
    if not session.settings.compaction:
        return "but NANOCODE_COMPACTION is 0: only `/compact` makes room"
    return "used, and the conversation is compacted"
