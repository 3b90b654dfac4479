"""Asks the model to sum up a part of the conversation, and takes no answer that is not a summary; changes nothing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from nanocode.agent.compaction import is_summary
from nanocode.errors import CompactionError
from nanocode.events import Emit, Event, Retrying
from nanocode.messages import Assistant, Message, System, ToolAnswer, User
from nanocode.provider.catalog import Model
from nanocode.provider.client import Client

INSTRUCTION = """\
You sum up the conversation of a coding agent with its user, so that the agent can go on from your summary alone.
Do not go on with the work, answer nothing that is asked in the conversation, and call no tool.
Write only the summary, in the language of the user, under these headings; write "none" under one that has nothing:

## Goal
What the user wants, in full.
## Rules
Every rule, preference and limit the user gave, in their words.
## Done
What is finished, with the paths of files and what changed in them.
## Under way
What is half done, and where exactly it stands.
## Decisions
What was decided and why; what was tried and did not work.
## Next
The next steps, in order.
## Facts
Exact names, paths, commands, values and error texts that are needed later.

Keep what an earlier summary says as long as it still holds."""

# A summary longer than this is no summary; a share of the reserve is what an answer may take of the window.
_MOST_OUTPUT, _OUTPUT_SHARE = 16_000, 0.8
# How much of each tool result and call is shown: all limits are tried until the text fits.
_LIMITS = (8000, 2000, 500, 120)


async def summarise(
    client: Client,
    model: Model,
    past: Sequence[Message],
    room: int,
    count: Callable[[str], int],
    emit: Emit,
    instructions: str = "",
) -> Assistant:
    """The model's summary of `past`, in a request of at most about `room` tokens by `count` and without tools.

    Only retries are emitted. Raises CompactionError when the answer is empty, cut or calls a tool, and what
    the request itself raises.
    """
    wanted = f"\n\nThe user adds: {instructions}" if instructions else ""
    text = _written(past, room - count(INSTRUCTION + wanted), count)
    ask = User(f"<conversation>\n{text}\n</conversation>\n\nSum up this conversation as you were told.{wanted}")
    limit = min(model.output or _MOST_OUTPUT, max(int(room * _OUTPUT_SHARE), 500), _MOST_OUTPUT)
    # A second line of its own: what arrives of a summary is no part of the answer that an interrupt keeps.
    line = client.sibling()
    answer = await line.respond(replace(model, output=limit), (System(INSTRUCTION), ask), (), _retries(emit))
    if answer.calls:
        raise CompactionError("the model called a tool where a summary was asked for")
    if answer.stop == "length":
        raise CompactionError("the summary was cut at the model's output limit")
    if answer.stop != "stop" or not answer.text.strip():
        raise CompactionError("the model gave no summary")
    return answer


def _retries(emit: Emit) -> Emit:
    def passed(event: Event) -> None:
        if isinstance(event, Retrying):
            emit(event)

    return passed


def _written(past: Sequence[Message], room: int, count: Callable[[str], int]) -> str:
    """The conversation as text: as much of each tool result as fits, and of what still does not fit the end."""
    for limit in _LIMITS:
        text = "\n\n".join(part for each in past for part in _parts(each, limit))
        if count(text) <= room:
            return text
    # Characters and tokens shrink alike.
    size = max(int(len(text) * room / count(text) * 0.9), 0)
    head = next((part for each in past[:1] if is_summary(each) for part in _parts(each, size // 2)), "")
    tail = text[max(len(text) - (size - len(head)), 0) :]
    return f"{head}\n\n[… the middle of the conversation is left out …]\n\n{tail}"


def _parts(message: Message, limit: int) -> Iterator[str]:
    if isinstance(message, ToolAnswer):
        yield f"[result of {message.name}{', failed' if message.failed else ''}]\n{_short(message.text, limit)}"
    elif isinstance(message, Assistant):
        if message.text:
            yield f"[agent]\n{message.text}"
        yield from (f"[agent calls {call.name}]\n{_short(call.arguments, limit)}" for call in message.calls)
    elif isinstance(message, User):
        yield f"[{'earlier summary' if is_summary(message) else 'user'}]\n{message.text}"


def _short(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"
