"""A session as one document, Markdown or HTML that needs nothing else; knows no session that runs and no disk."""

import re
from collections.abc import Callable, Iterator
from html import escape

from nanocode.jsontext import dumps, loads
from nanocode.messages import Assistant, Call, Image, Message, ToolAnswer, User
from nanocode.store.transcript import Saved

Clean = Callable[[str], str]


def facts(saved: Saved) -> str:
    """`session 0ddb… · kimi-k2.6 · 2026-11-25 · /home/me/code · 12 in, 3 out`."""
    header, usage = saved.header, saved.usage
    counts = f"{usage.input:,} tokens in, {usage.output:,} out"
    price = f"${saved.cost:.4f}" if saved.cost else ""
    known = [str(header.get(name, "")) for name in ("model", "time", "cwd")]
    return " · ".join(filter(None, (f"session {header.get('id', '')}", *known, counts, price)))


def heading(saved: Saved) -> str:
    return saved.name or str(saved.header.get("title") or "nanocode session")


def arguments(call: Call) -> str:
    """A call's arguments to read: its one text as it is, else a line for each."""
    try:
        values = loads(call.arguments)
    except ValueError:
        return call.arguments
    if not isinstance(values, dict):
        return call.arguments
    if len(values) == 1 and isinstance(only := next(iter(values.values())), str):
        return only
    shown = {name: value if isinstance(value, str) else dumps(value).decode() for name, value in values.items()}
    return "\n".join(f"{name}: {value}" for name, value in shown.items())


def markdown(saved: Saved, clean: Clean) -> str:
    """The whole conversation, tool results folded."""
    parts = [f"# {clean(heading(saved))}", clean(facts(saved))]
    for message in saved.messages:
        parts += _markdown(message, clean)
    return "\n\n".join(parts) + "\n"


def _markdown(message: Message, clean: Clean) -> Iterator[str]:
    if isinstance(message, User):
        yield f"## User\n\n{clean(message.text)}"
        yield from map(_pictured, message.images)
    elif isinstance(message, Assistant):
        if message.text:
            yield f"## Assistant\n\n{clean(message.text)}"
        yield from (f"**{call.name}**\n\n{_fenced(clean(arguments(call)))}" for call in message.calls)
    elif isinstance(message, ToolAnswer):
        words = f"{message.name} {'failed' if message.failed else 'result'}"
        yield f"<details><summary>{words}</summary>\n\n{_fenced(clean(message.text))}\n\n</details>"
        yield from map(_pictured, message.images)


def _pictured(image: Image) -> str:
    return f"![image](data:{image.mime};base64,{image.data})"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


STYLE = """\
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem}.facts{color:#666;font-size:.85rem}section{margin:1.2rem 0}
.user{border-left:3px solid #3b6ea5;padding-left:.8rem}.call,.result{font-size:.85rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0}.text{font:inherit}
.call pre,.result pre{background:#f4f4f4;padding:.5rem;border-radius:4px}.failed summary{color:#a33}
img{max-width:100%}summary{cursor:pointer;color:#555}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.call pre,.result pre{background:#262626}}"""


def html(saved: Saved, clean: Clean) -> str:
    """The same as one HTML file: no script, nothing loaded from elsewhere."""
    title = escape(clean(heading(saved)))
    body = "\n".join(part for message in saved.messages for part in _html(message, clean))
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>\n<style>{STYLE}</style></head>\n'
        f'<body><h1>{title}</h1><p class="facts">{escape(clean(facts(saved)))}</p>\n{body}\n</body></html>\n'
    )


def _html(message: Message, clean: Clean) -> Iterator[str]:
    if isinstance(message, User):
        pictures = "".join(map(_picture, message.images))
        yield f'<section class="user">{_text(clean(message.text))}{pictures}</section>'
    elif isinstance(message, Assistant):
        if message.text:
            yield f'<section class="assistant">{_text(clean(message.text))}</section>'
        for call in message.calls:
            shown = escape(clean(arguments(call)))
            yield f'<section class="call"><b>{escape(call.name)}</b><pre>{shown}</pre></section>'
    elif isinstance(message, ToolAnswer):
        words = f"{message.name} {'failed' if message.failed else 'result'}"
        kind = "result failed" if message.failed else "result"
        pictures = "".join(map(_picture, message.images))
        yield (
            f'<section class="{kind}"><details><summary>{escape(words)}</summary>'
            f"<pre>{escape(clean(message.text))}</pre>{pictures}</details></section>"
        )


def _text(text: str) -> str:
    return f'<pre class="text">{escape(text)}</pre>'


def _picture(image: Image) -> str:
    return f'<img alt="image" src="data:{escape(image.mime)};base64,{escape(image.data)}">'
