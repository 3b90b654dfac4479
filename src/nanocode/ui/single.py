"""One tool without a model, for `nanocode tool`; knows nothing of argv and signals."""

from collections.abc import Callable, Sequence

from nanocode import servers, tools
from nanocode.agent.arguments import arguments
from nanocode.agent.toolbox import Answer, Toolbox
from nanocode.errors import NanocodeError, UsageError
from nanocode.guard.trust import Trust
from nanocode.jobs.board import Board
from nanocode.messages import Call
from nanocode.settings import Settings


def call(words: Sequence[str], piped: Callable[[], str]) -> Call:
    """The call of `NAME [JSON]`, its arguments `piped` where there is no JSON. Raises UsageError for a bad one."""
    known = {tool.name: tool for tool in tools.ALL}
    if not words or words[0] not in known or len(words) > 2:
        what = f"unknown tool `{words[0]}`" if words and words[0] not in known else "usage: nanocode tool NAME [JSON]"
        raise UsageError(what, f"the tools are: {', '.join(known)}")
    text = words[1] if len(words) == 2 else piped()
    try:
        arguments(known[words[0]], text)
    except NanocodeError as error:
        raise UsageError(str(error), f"such as: nanocode tool {words[0]} '{{\"…\": …}}'") from None
    return Call("1", words[0], text)


async def answered(settings: Settings, call: Call, say: Callable[[str], None]) -> Answer:
    """Run it; what a session would have around it is opened and closed. `say` hears what is left out."""
    box = Toolbox(tools.ALL, settings, lambda event: None, takes_images=False)
    # What the call names was named by a person.
    box.said = lambda: call.arguments
    trust = Trust(settings.trust_file, everything=settings.trust)
    box.servers = host = servers.opened(settings, trust, lambda words, hint: say(f"{words}; {hint}"))
    box.jobs = board = Board(settings, lambda event: None, tools=lambda: box.tools)
    try:
        return await box.call(call)
    finally:
        await board.close()
        if host is not None:
            await host.close()
