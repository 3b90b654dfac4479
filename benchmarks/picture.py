"""Pictures of the REPL for the README: real runs in a pseudo-terminal, their last screen written as SVG.

Run `python benchmarks/picture.py`; the model server is the tests' own, and what it says is in this file.
"""

import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench_terminal import NANOCODE, Pace, Pane, home
from peer import Peer, call, reply, text

PLOTS = Path(__file__).parent / "plots"
COLUMNS, ROWS = 100, 30
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_COLORS = {"brown": "yellow", "brightblack": "bright_black"}

MODULE = "def total(prices):\n    sum = 0\n    for p in prices:\n        sum += p\n    return sum\n"
FIXED = [{"oldText": MODULE[MODULE.index("    sum") :], "newText": "    return sum(prices)\n"}]
ANSWER = """\
`total` shadowed the builtin `sum`; it **uses** it now:

```python
def total(prices):
    return sum(prices)
```

| before | after |
|---|--:|
| 5 lines | 2 lines |
"""
# Colours for code are loaded while the first answer is on its way, which takes any model this long.
THOUGHT = Pace([], 1.0)
TESTS = 'for n in 1 2 3 4 5 6; do echo "test_shop.py::test_case_$n PASSED"; done; sleep 30'


class Screen(pyte.Screen):
    """pyte knows no faint text; a grey stands in for it."""

    def select_graphic_rendition(self, *attributes: int, **options: Any) -> None:
        super().select_graphic_rendition(*(90 if each == 2 else each for each in attributes), **options)


def finished(pane: Pane, until: Callable[[str], object]) -> None:
    pane.send("simplify `total` in @shop.py\r")
    until("2 lines")
    until("out")


def working(pane: Pane, until: Callable[[str], object]) -> None:
    pane.send("run the tests\r")
    until("test_case_6")
    pane.send("only the failing ones, please\r")
    until("1 queued")
    pane.send("/queue update the changelog\r")
    until("2 queued")
    pane.send("/de")
    until("take back what waits")
    until("5 s")


SCENES = {
    "repl": (finished, [reply(call("edit", {"path": "shop.py", "edits": FIXED})), reply(THOUGHT, text(ANSWER))]),
    "working": (working, [reply(text("I run them first.\n\n"), call("bash", {"command": TESTS}))]),
}


def capture(name: str) -> Screen:
    scene, script = SCENES[name]
    screen = Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    fed = 0
    with Peer(script) as server, home(server) as environ:
        folder = Path(environ["HOME"])
        (folder / "shop.py").write_text(MODULE)
        with Pane(NANOCODE, environ | {"MODEL": "kimi-k2.6"}) as pane:

            def until(words: str) -> None:
                def holds() -> bool:
                    nonlocal fed
                    stream.feed(bytes(pane.seen[fed:]))
                    fed = len(pane.seen)
                    return any(words in line for line in screen.display)

                pane.until(holds, 30)

            until("❯")
            scene(pane, until)
            for _ in range(5):
                pane.read(0.1)
            until("❯")
    return screen


def drawn(screen: Screen) -> Text:
    text = Text()
    last = max(row for row in range(ROWS) if screen.display[row].strip())
    for row in range(last + 1):
        line = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            color = None if cell.fg == "default" else _COLORS.get(cell.fg, cell.fg)
            line.append(cell.data, Style(color=color, bold=cell.bold, italic=cell.italics, underline=cell.underscore))
        line.rstrip()
        text.append_text(line).append("\n")
    return text


def main() -> None:
    PLOTS.mkdir(exist_ok=True)
    for name in SCENES:
        console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
        console.print(drawn(capture(name)), end="")
        path = PLOTS / f"{name}.svg"
        # The page that shows it has its own fonts, and a picture should fetch none.
        path.write_text(_FONTS.sub("", console.export_svg(title="nanocode", theme=DIMMED_MONOKAI)), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
