"""The command that asks beside the conversation; knows nothing of how the question is answered."""

from nanocode.errors import NanocodeError, UsageError
from nanocode.events import Event, Notice, Retrying, ToolStarted
from nanocode.ui.desk import Desk
from nanocode.ui.plain import call_line

_TOOLS = "--tools"


async def btw(desk: Desk, argument: str) -> str:
    """Answer a question about the conversation so far, which keeps no trace of it."""
    first, _, rest = argument.partition(" ")
    tools = first == _TOOLS
    question = rest.strip() if tools else argument
    if not question:
        raise UsageError("`/btw` needs a question", "such as /btw why that file? or /btw --tools where is it used?")

    def follow(event: Event) -> None:
        match event:
            case ToolStarted(_, name, args):
                desk.show(f"btw ⏺ {call_line(name, args)}")
            case Notice(text) | Retrying(reason=text):
                desk.show(f"btw … {text}")

    ended = await desk.session.aside(question, follow, tools=tools)
    if ended.error:
        raise NanocodeError(f"btw: {ended.error}", ended.hint)
    desk.show(f"**btw** {question}\n\n{ended.text}", "markdown")
    return ""
