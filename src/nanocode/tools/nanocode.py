"""The nanocode tool: child agents, waited for or in the background; knows nothing of how they run."""

from pathlib import Path
from typing import Annotated, Any, Literal

from nanocode.errors import ToolError
from nanocode.jobs.board import Board, Job, report
from nanocode.tool import Context, Result, tool

_RUN_SECONDS, _MOST_SECONDS, _CHARACTERS = 120, 600, 18000
_ALIASES = {
    "task": "prompt",
    "id": "jobId",
    "job_id": "jobId",
    "auto_emit": "autoEmit",
    "append_system_prompt": "appendSystemPrompt",
    "timeout": "timeoutSeconds",
    "timeout_seconds": "timeoutSeconds",
    "max_characters": "maxCharacters",
}


def _prepare(data: dict[str, Any]) -> dict[str, Any]:
    names = data.get("tools")
    return data | {"tools": ",".join(map(str, names)) or "none"} if isinstance(names, list) else data


@tool(aliases=_ALIASES, prepare=_prepare)
async def nanocode(
    context: Context,
    action: Annotated[
        Literal["run", "start", "list", "status", "read", "cancel"] | None,
        "run waits for the answer, start goes on in the background; with a prompt alone: run",
    ] = None,
    prompt: Annotated[str | None, "the whole task: a child sees nothing of this conversation"] = None,
    jobId: Annotated[str | None, "job for status, read and cancel, such as nano-1"] = None,
    background: Annotated[bool, "with a prompt and no action: start instead of run"] = False,
    autoEmit: Annotated[bool, "tell the result of a background job by itself"] = True,
    tools: Annotated[
        str | None,
        "tools of the child, such as `read,grep` or `none`; it has no children itself "
        "unless `nanocode` is named; all by default",
    ] = None,
    appendSystemPrompt: Annotated[str | None, "more instructions for the child"] = None,
    cwd: Annotated[str | None, "folder that the child works in; this one by default"] = None,
    model: Annotated[str | None, "model of the child; this one's by default"] = None,
    timeoutSeconds: Annotated[
        float | None, "run: 120 by default, at most 600; start: none by default", {"minimum": 0.001}
    ] = None,
    maxCharacters: Annotated[int, "most of the result to show", {"minimum": 1}] = _CHARACTERS,
) -> Result:
    """Let a child nanocode do a task on its own, with tools and a conversation of its own. Several background jobs work
    at once; the result of each is told to you when it ends, so do not ask for it again and again.
    """
    board = context.jobs
    if not isinstance(board, Board):
        raise ToolError("no child can be started here; do the task yourself")
    if action is None:
        action = "list" if prompt is None else "start" if background else "run"
    if action in ("run", "start"):
        if not prompt or not prompt.strip():
            raise ToolError(f"`{action}` needs a `prompt`: the whole task, in words")
        if action == "run" and (timeoutSeconds or 0) > _MOST_SECONDS:
            raise ToolError(f"a run may take {_MOST_SECONDS} s at most; use action=start for longer tasks")
        order = board.order(
            prompt,
            cwd=_folder(context, cwd),
            model=model or "",
            tools=tools or "",
            system=appendSystemPrompt or "",
            seconds=timeoutSeconds or (_RUN_SECONDS if action == "run" else None),
        )
        if action == "run":
            return _result(await board.run(order), maxCharacters)
        job = board.start(order, background=True, tell=autoEmit)
        told = "its result will be told to you" if autoEmit else f"read it with action=read, jobId={job.id}"
        return Result(f"{job.id} is started; {told}")
    if action == "list" and jobId is None:
        return Result("\n".join(job.line() for job in board.jobs.values()) or "there are no jobs yet")
    if jobId is None:
        raise ToolError(f"`{action}` needs a `jobId`; there are: {', '.join(board.jobs) or 'none yet'}")
    if action == "read":
        return Result(board.read(jobId, maxCharacters))
    return Result((await board.cancel(jobId) if action == "cancel" else board.find(jobId)).line())


def _folder(context: Context, cwd: str | None) -> Path | None:
    if cwd is None:
        return None
    folder = context.path(cwd)
    if not folder.is_dir():
        raise ToolError(f"`{cwd}` is no folder that a child could work in")
    return folder


def _result(job: Job, limit: int) -> Result:
    text = report(job, limit)
    if job.state != "done":
        raise ToolError(text)
    return Result(text)
