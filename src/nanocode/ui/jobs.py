"""The command on child agents: list them, read one, cancel one; knows nothing of how they run."""

from collections.abc import Iterable

from nanocode.errors import NanocodeError, UsageError
from nanocode.jobs.board import report
from nanocode.session import Session
from nanocode.ui.desk import Desk, Option


async def jobs(desk: Desk, argument: str) -> str:
    """List them, or do with one what the words say; an id alone reads it."""
    board = desk.session.board
    verb, _, id = argument.rpartition(" ")
    try:
        if not argument:
            return "\n".join(job.line() for job in board.jobs.values()) or "there are no jobs in this session"
        if verb == "cancel":
            return (await board.cancel(id)).line()
        if verb in ("read", ""):
            # The model is still told: only the user has read it now.
            job = board.find(id)
            return report(job, desk.session.settings.job_characters) if job.outcome else job.line()
    except NanocodeError as error:
        raise UsageError(str(error), "`/jobs` lists them") from None
    raise UsageError(f"`/jobs {verb}` is unknown", "`/jobs`, `/jobs read ID` and `/jobs cancel ID` are there")


def options(session: Session) -> Iterable[Option]:
    for job in session.board.jobs.values():
        yield f"read {job.id}", job.prompt
        if job.outcome is None:
            yield f"cancel {job.id}", job.prompt
