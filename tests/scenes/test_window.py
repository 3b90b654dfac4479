"""The REPL in windows of any size, under keys of any kind, and what it sends to a terminal beside text."""

import os
import re
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import peer
import pytest
from peer import Gate, Peer
from program import Program, alive
from tmux import needs_tmux, terminal

pytestmark = needs_tmux


def test_what_is_drawn_from_the_first_row_on_leaves_no_copies(nanocode: Program) -> None:
    gates = [Gate() for _ in range(4)]
    parts = [part for gate in gates for part in (peer.chunk({"content": "word " * 120}), gate)]
    with Peer([peer.reply(*parts)]) as server, terminal(nanocode.at(server.url), rows=12) as it:
        it.wait_idle()
        it.say("start")
        for number, gate in enumerate(gates):
            gate.wait_until_reached()
            it.say(f"/queue later {number}")
            it.wait_for(f"{number + 1} queued")
            if gate is gates[-1]:
                whole = it.everything()
            gate.open()
    assert whole.count("esc to interrupt") == 1 and whole.count("❯\n") == 1, whole


def test_resizing_while_it_streams_leaves_no_ghosts_and_loses_nothing(nanocode: Program) -> None:
    sizes = [(60, 30), (100, 20), (45, 30), (80, 24)]
    gates = [Gate() for _ in sizes]
    words = [f"line {number:03} of the answer\n" for number in range(100)]
    parts: list[bytes | Gate] = []
    for number, gate in enumerate(gates):
        parts += [peer.chunk({"content": word}) for word in words[20 * number : 20 * number + 20]]
        parts += [peer.chunk({"content": f"unfinished {number}"}), gate, peer.chunk({"content": "\n"})]
    parts += [peer.chunk({"content": word}) for word in words[80:]]
    with Peer([peer.reply(*parts)]) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.say("start")
        for number, ((columns, rows), gate) in enumerate(zip(sizes, gates, strict=True)):
            it.wait_for(f"unfinished {number}")
            it.resize(columns, rows)
            it.type(f"typed{number} ")
            it.wait_for(f"typed{number}")
            gate.open()
        it.wait_for("line 099")
        it.wait_idle()
        whole = it.everything()
    assert re.findall(r"line \d{3} of the answer", whole) == [word.strip() for word in words]
    assert whole.count("❯ typed0 typed1 typed2 typed3") == 1 and whole.count("esc to interrupt") == 0, whole


def test_a_narrow_window_shows_everything(nanocode: Program) -> None:
    answer = (
        "| name | value |\n|---|---|\n| 世界 | a longer value than fits |\n\n- an item that has to be wrapped here\n"
    )
    calls = peer.call("edit", {"path": "a.py", "edits": [{"oldText": "two", "newText": "TWO " + "x" * 50}]})
    (nanocode.cwd / "a.py").write_text("one\ntwo\n")
    with (
        Peer([peer.reply(calls), peer.reply(peer.text(answer))]) as server,
        terminal(nanocode.at(server.url), columns=40) as it,
    ):
        it.wait_idle()
        it.say("start")
        it.wait_for("wrapped")
        whole = it.wait_idle()
    # Without the table's own lines, and joined where rows were broken.
    joined = re.sub(r"[\s│─┼]", "", whole)
    for words in ("2-two", "2+TWO" + "x" * 50, "世界", "alongervaluethanfits", "•anitemthathastobewrappedhere"):
        assert words in joined, whole


def test_a_tiny_window_still_talks(nanocode: Program) -> None:
    with (
        Peer([peer.reply(peer.text("hi there"))]) as server,
        terminal(nanocode.at(server.url), columns=20, rows=5) as it,
    ):
        it.wait_for("❯")
        it.say("hello")
        it.wait_for("hi there")
        for columns, rows in ((1, 1), (2, 3), (80, 24)):
            it.resize(columns, rows)
        it.type("all is well")
        it.wait_for("❯ all is well")


def test_a_choice_scrolls_in_a_low_window(nanocode: Program) -> None:
    with (
        Peer([peer.reply(peer.text(f"answer {number}")) for number in range(6)]) as server,
        terminal(nanocode.at(server.url), rows=6) as it,
    ):
        it.wait_idle()
        for number in range(6):
            it.say(f"prompt {number}")
            it.wait_for(f"answer {number}")
            it.wait_idle()
            it.say("/clear")
            it.wait_for("a new session begins")
        it.say("/resume")
        it.wait_for("❯ 1.")
        for number in range(2, 7):
            it.keys("Down")
            it.wait_for(f"❯ {number}.")
        it.keys("Enter")
        it.wait_for("answer 0")


def test_the_history_is_searched_and_outlives_the_program(nanocode: Program) -> None:
    script = [peer.reply(peer.text(f"answer {number}")) for number in range(3)]
    with Peer(script) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            for number, line in enumerate(("find the needle", "some hay")):
                it.say(line)
                it.wait_for(f"answer {number}")
                it.wait_idle()
            it.say("/q")
            assert it.end() == 0
        with terminal(nanocode) as it:
            it.wait_idle()
            it.keys("C-r")
            it.type("need")
            it.wait_for("❯ find the needle")
            it.keys("Enter")
            it.wait(lambda screen: "history:" not in screen and "❯ find the needle" in screen)
            it.keys("End")
            it.say(" again")
            it.wait_for("answer 2")
        assert server.requests[2].messages[-1]["content"] == "find the needle again"


def test_the_prompt_is_edited_outside_while_it_streams(nanocode: Program) -> None:
    gate = Gate()
    fifo = nanocode.root / "fifo"
    editor = nanocode.root / "editor"
    editor.write_text(f'#!/bin/sh\nmkfifo {fifo}; echo EDITOR; cat {fifo}; printf "edited\\nlines\\n" > "$1"\n')
    editor.chmod(0o755)
    nanocode.environ["EDITOR"] = str(editor)
    script = [peer.reply(peer.text("before\n"), gate, peer.text("after\n")), peer.reply(peer.text("done"))]
    with Peer(script) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.say("start")
        it.wait_for("⏺ before")
        it.type("draft")
        it.keys("C-x", "C-e")
        screen = it.wait_for("EDITOR")
        assert "draft" not in screen
        gate.open()
        fifo.write_text("")
        it.wait_for("after")
        it.wait_for("❯ edited\n  lines")
        it.wait_idle()
        it.keys("Enter")
        it.wait_for("⏺ done")
        assert server.requests[1].messages[-1]["content"] == "edited\nlines"


def test_an_end_while_the_editor_has_the_terminal_ends_both(nanocode: Program) -> None:
    editor = nanocode.root / "editor"
    editor.write_text("#!/bin/sh\nstty raw -echo; echo $$ > pid; exec sleep 1000\n")
    editor.chmod(0o755)
    nanocode.environ["EDITOR"] = str(editor)
    pid = nanocode.cwd / "pid"
    run = f"{sys.executable} -P -m nanocode; code=$?; stty -a > after; exit $code"
    words = ["sh", "-c", f"stty -a > before; {run}"]
    with Peer(()) as server, terminal(nanocode.at(server.url), words=words) as it:
        it.wait_idle()
        it.keys("C-g")
        it.wait(lambda screen: pid.exists() and bool(pid.read_text()))
        [child] = Path(f"/proc/{it.process()}/task/{it.process()}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        assert it.end() == 143
        assert "❯" not in it.screen()
    assert (nanocode.cwd / "after").read_text() == (nanocode.cwd / "before").read_text()
    assert not alive(int(pid.read_text()))


def test_ctrl_c_in_the_editor_is_for_the_editor(nanocode: Program) -> None:
    editor = nanocode.root / "editor"
    editor.write_text("#!/bin/sh\necho EDITOR; exec sleep 1000\n")
    editor.chmod(0o755)
    nanocode.environ["EDITOR"] = str(editor)
    gate = Gate()
    with (
        Peer([peer.reply(peer.text("going\n"), gate, peer.text("done"))]) as server,
        terminal(nanocode.at(server.url)) as it,
    ):
        it.wait_idle()
        it.say("start")
        it.wait_for("⏺ going")
        it.type("a draft")
        it.keys("C-g")
        it.wait_for("EDITOR")
        it.keys("C-c")
        it.wait_for("the text is as it was")
        it.wait_for("❯ a draft")
        gate.open()
        it.wait_for("done")
        assert "interrupted" not in it.wait_idle()


def test_copying_reaches_the_clipboard(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text("the answer, 世界"))]) as server, terminal(nanocode.at(server.url)) as it:
        it.tmux("set", "-s", "set-clipboard", "on")
        it.wait_idle()
        it.say("start")
        it.wait_for("⏺ the answer")
        it.wait_idle()
        it.say("/copy")
        it.wait_for("copied 14 characters")
        assert it.tmux("show-buffer") == "the answer, 世界"


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False)])
def test_thinking_shows_dimmed_or_not_at_all(nanocode: Program, value: str, shown: bool) -> None:
    nanocode.environ["SHOW_THINKING"] = value
    script = [peer.reply(peer.reasoning("I weigh it"), peer.text("so be it"))]
    with Peer(script) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.say("start")
        it.wait_for("⏺ so be it")
        before, thought, _ = it.screen("-e").partition("I weigh it")
        assert bool(thought) == shown
        if shown:
            assert "2" in re.findall(r"\x1b\[([\d;]*)m", before)[-1].split(";")


def test_what_a_tool_prints_moves_and_colours_nothing(nanocode: Program) -> None:
    evil = r"printf '\033[2J\033[H\033[31mred\033]0;title\007\033[?1049h\033[?25l over\rover\n\0\b\177'; cat fifo"
    fifo = nanocode.cwd / "fifo"
    shell = f"mkfifo {shlex.quote(str(fifo))}; {evil}"
    words = "evil \x1b[31mred\x1b]0;title\x07\x1b[?25l \x9b31m\u202eturned"
    with (
        Peer([peer.reply(peer.call("bash", {"command": shell})), peer.reply(peer.text(words))]) as server,
        terminal(nanocode.at(server.url)) as it,
    ):
        it.tmux("select-pane", "-t", "test", "-T", "mine")
        it.wait_idle()
        it.say("start")
        # While it runs, and once it has ended.
        it.wait_for("⎿ over")
        assert "❯ start" in it.screen()
        fifo.write_text("")
        it.wait_for("⏺ evil")
        it.wait_idle()
        assert "❯ start" in it.screen()
        whole = it.everything("-e")
        state = it.tmux("display-message", "-p", "-t", "test", "#{cursor_flag} #{alternate_on} #{pane_title}")
    assert state.strip() == "1 0 mine"
    assert "\x1b[31m" not in whole and "\u202e" not in whole


def test_a_server_that_dies_while_it_streams_is_tried_again_and_then_told(nanocode: Program) -> None:
    torn = peer.cut_off(peer.text("half of it\nand a"), end="reset")
    with (
        Peer([torn, torn, torn, peer.reply(peer.text("works"))]) as server,
        terminal(nanocode.at(server.url)) as it,
    ):
        it.wait_idle()
        it.say("start")
        it.wait_for("hint: ")
        it.wait_idle()
        whole = it.everything()
        assert whole.count("⏺ half of it") == 3 and "try 1 failed" in whole and "try 2 failed" in whole
        it.say("again")
        it.wait_for("⏺ works")


def test_suspending_gives_the_shell_back_and_goes_on_later(nanocode: Program) -> None:
    gate = Gate()
    with (
        Peer([peer.reply(peer.text("before\n"), gate, peer.text("after\n"))]) as server,
        terminal(nanocode.at(server.url), words=["bash", "--norc", "-i"]) as it,
    ):
        it.say(shlex.join([sys.executable, "-P", "-m", "nanocode"]))
        it.wait_for("test-model · 128k")
        it.wait_idle()
        it.say("start")
        it.wait_for("⏺ before")
        it.type("typed")
        it.wait_for("❯ typed")
        it.keys("C-z")
        it.wait_for("Stopped")
        it.say("echo shell; stty -a | grep -c ' icanon'")
        it.wait(lambda screen: re.search(r"shell\n1\n", screen) is not None)
        it.say("fg")
        gate.open()
        it.wait_for("after")
        assert "❯ typed" in it.wait_idle()


def test_alt_enter_breaks_the_line(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text("heard"))]) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.type("one")
        it.keys("M-Enter")
        it.type("two")
        it.wait_for("❯ one\n  two")
        it.keys("Enter")
        it.wait_for("heard")
        assert server.requests[0].messages[-1]["content"] == "one\ntwo"


def test_a_terminal_that_can_only_scroll_holds_the_whole_conversation(nanocode: Program) -> None:
    nanocode.environ["TERM"] = "dumb"
    script = [peer.reply(peer.call("bash", {"command": "echo hi"})), peer.reply(peer.text("seen **it**"))]
    with Peer(script) as server, terminal(nanocode.at(server.url), columns=40) as it:
        it.wait_for("❯")
        it.say("!echo to$((40+2))ld; echo twice")
        it.wait_for("to42ld\ntwice\n")
        it.say("!echo begun; sleep 1000")
        it.wait_for("begun; sleep")
        it.wait(lambda screen: "sleep 1000" in children(it.process()))
        it.keys("C-c")
        it.wait_for("interrupted")
        it.say("/modle")
        it.wait_for("did you mean `/model`?")
        it.say("what was it?")
        it.wait_for("⏺ seen **it**")
        assert "⎿ hi" in it.screen()
        it.say("/q")
        assert it.end() == 0
    assert "to42ld" in str(server.requests[0].messages)


def children(process: int) -> str:
    """The command lines of all processes below one."""
    names = []
    for each in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        with suppress(OSError):
            names += [Path(f"/proc/{each}/cmdline").read_text().replace("\0", " "), children(int(each))]
    return " ".join(names)
