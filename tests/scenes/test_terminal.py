"""The REPL in a real terminal over a scripted model server: what is on the screen, and what the server was sent."""

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import peer
import pytest
from peer import Gate, Peer, Request
from program import Program
from tmux import Terminal, needs_tmux, terminal

pytestmark = needs_tmux


def users(request: Request) -> list[str]:
    """What the user said, as the server sees it."""
    return [each["content"] for each in request.messages if each["role"] == "user"]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_a_chat_in_many_scripts(nanocode: Program) -> None:
    answer = "Grüße! 你好,世界。これは長い文章です。 مرحبا 👋 naïve café"
    with Peer([peer.reply(peer.text(answer, 7)), peer.reply(peer.text("again"))]) as server:
        with terminal(nanocode.at(server.url), columns=40) as it:
            it.wait_idle()
            it.say("héllo 世界 👋")
            it.wait_for("café")
            screen = squeezed(it.wait_idle())
            assert "❯ héllo 世界 👋" in screen
            assert squeezed("⏺ " + answer).replace(" ", "") in screen.replace(" ", "")
            it.say("more")
            it.wait_for("⏺ again")
        assert users(server.requests[1]) == ["héllo 世界 👋", "more"]


def test_typing_while_two_thousand_deltas_a_second_stream(nanocode: Program) -> None:
    words = [f"w{number:05}" for number in range(6000)]
    gate = Gate()
    parts = [
        peer.chunk({"content": f"{word} " + ("\n" if number % 9 == 8 else "")}) for number, word in enumerate(words)
    ]
    typed = "the typed text stays whole while it streams"
    with Peer([peer.reply(parts[:50], gate, parts[50:])]) as server:
        with terminal(nanocode.at(server.url), rows=24) as it:
            it.wait_idle()
            it.say("go")
            it.wait_for("w00040")
            gate.open()
            for character in typed:
                it.type(character)
            it.wait_for("w05999")
            it.wait_for(typed)
            it.wait_idle()
            shown = re.findall(r"w\d{5}", it.everything())
        assert shown == words


def test_steering_and_follow_ups_reach_the_model_in_their_order(nanocode: Program) -> None:
    gate = Gate()
    script = [
        peer.reply(peer.text("on it", 1), gate, peer.call("bash", {"command": "echo hi"})),
        peer.reply(peer.text("steered")),
        peer.reply(peer.text("followed one")),
        peer.reply(peer.text("followed two")),
    ]
    with Peer(script) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            it.say("start")
            it.wait_for("on it")
            for line in ("/queue later one", "/followup later two", "use tabs", "/steer and spaces", "/queue"):
                it.say(line)
            assert "↳ use tabs" in it.wait_for("4 queued")
            gate.open()
            it.wait_for("followed two")
            assert "queued" not in it.wait_idle()
        assert users(server.requests[0]) == ["start"]
        assert users(server.requests[1]) == ["start", "use tabs", "and spaces"]
        assert users(server.requests[2])[3:] == ["later one"]
        assert users(server.requests[3])[3:] == ["later one", "later two"]


def test_a_command_that_has_ended_is_not_said_to_run(nanocode: Program) -> None:
    with terminal(nanocode, "--demo") as it:
        it.wait_idle()
        for number in range(6):
            it.say(f"/last {number}x")
            it.wait_for(f"`/last {number}x`: how many calls back?")
            it.wait(lambda screen: "beside:" not in screen)
        it.say("/q")
        assert it.end() == 0


def test_the_queue_is_edited_as_json(nanocode: Program) -> None:
    gate = Gate()
    editor = nanocode.root / "editor"
    editor.write_text(f'#!/bin/sh\ncp "$1" {nanocode.root}/seen.json\nsed -i \'s/tabs/SPACES/; s/later/LAST/\' "$1"\n')
    editor.chmod(0o755)
    nanocode.environ["VISUAL"] = str(editor)
    script = [peer.reply(peer.text("working", 1), gate), peer.reply(peer.text("b")), peer.reply(peer.text("the end"))]
    with Peer(script) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            it.say("start")
            it.wait_for("⏺ working")
            it.say("use tabs")
            it.say("/queue later")
            it.say("/dequeue edit")
            it.wait_for("↳ use SPACES")
            gate.open()
            it.wait_for("the end")
        assert users(server.requests[2]) == ["start", "use SPACES", "LAST"]
    assert '"use tabs"' in (nanocode.root / "seen.json").read_text()


def test_an_interrupted_text_keeps_the_queue_and_tells_the_model(nanocode: Program) -> None:
    gate = Gate()
    with Peer([peer.reply(peer.text("half an answer\nand", 2), gate), peer.reply(peer.text("fine"))]) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            it.say("start")
            it.wait_for("half an answer")
            it.say("/queue later")
            it.wait_for("↳ then: later")
            it.keys("Escape")
            it.wait_for("interrupted")
            assert "↳ then: later" in it.wait_idle()
            gate.open()
            it.keys("Enter")
            it.wait_for("⏺ fine")
        sent = server.requests[1].messages
        assert [each["role"] for each in sent] == ["system", "user", "assistant", "user"]
        assert sent[2]["content"] == "half an answer\nand"
        assert "interrupted" in sent[3]["content"] and sent[3]["content"].endswith("later")


def test_an_interrupted_tool_is_answered_and_leaves_no_process(nanocode: Program) -> None:
    call = peer.call("bash", {"command": "echo $$ > pid; echo begun; exec sleep 1000"})
    with Peer([peer.reply(call), peer.reply(peer.text("fine"))]) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            it.say("start")
            it.wait_for("begun")
            it.keys("C-c")
            it.wait_for("interrupted")
            it.wait_idle()
            it.say("go on")
            it.wait_for("⏺ fine")
        roles = [each["role"] for each in server.requests[1].messages]
        assert roles == ["system", "user", "assistant", "tool", "user"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((nanocode.cwd / "pid").read_text()), 0)


@pytest.mark.parametrize("columns", [100, 61, 40])
def test_resizing_leaves_no_ghosts_and_loses_nothing(nanocode: Program, columns: int) -> None:
    answer = "\n".join(f"line {number} of the answer" for number in range(8))
    with Peer([peer.reply(peer.text(answer))]) as server:
        with terminal(nanocode.at(server.url), rows=40) as it:
            it.wait_idle()
            it.say("start")
            it.wait_for("line 7")
            it.wait_idle()
            long = "a prompt that is not sent and that is so long that it needs more than one row of the window"
            it.type(long)
            it.wait(lambda screen: long.replace(" ", "") in re.sub(r"\s", "", screen))
            for each in (columns, 50, columns):
                it.resize(each, 40)
            it.wait(lambda screen: long.replace(" ", "") in re.sub(r"\s", "", screen))
            it.type("!")
            # In one look: a prompt that is drawn anew is away for a moment.
            whole = it.wait(lambda all: long.replace(" ", "") + "!" in re.sub(r"\s", "", all), "-S", "-")
        assert whole.count("❯ start") == 1 and whole.count("❯ a prompt") == 1, whole
        for number in range(8):
            assert whole.count(f"line {number} of the answer") == 1, whole


def test_a_paste_of_two_hundred_lines_is_folded_and_sent_whole(nanocode: Program) -> None:
    pasted = "\n".join(f"row {number}: ünïcode 世界" for number in range(200))
    with Peer([peer.reply(peer.text("got it"))]) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            it.type("look: ")
            it.paste(pasted)
            it.wait_for("[paste #1 +200 lines]")
            assert not server.requests
            it.say(" thanks")
            it.wait_for("got it")
        assert users(server.requests[0]) == [f"look: {pasted} thanks"]


def test_a_question_beside_the_work(nanocode: Program) -> None:
    gate = Gate()

    def script(request: Request) -> peer.Reply:
        if "why?" in str(request.messages[-1]["content"]):
            return peer.reply(peer.text("because of **that**"))
        if len(users(request)) == 1:
            return peer.reply(peer.text("working", 1), gate)
        return peer.reply(peer.text("last"))

    with Peer(script) as server:
        with terminal(nanocode.at(server.url)) as it:
            it.wait_idle()
            it.say("start")
            it.wait_for("⏺ working")
            it.say("/btw why?")
            it.wait_for("because of that")
            assert "esc to interrupt" in it.screen()
            gate.open()
            it.wait_idle()
            it.say("next")
            it.wait_for("⏺ last")
        assert users(server.requests[-1]) == ["start", "next"]


def test_models_are_searched_and_switched(nanocode: Program) -> None:
    models = ("alpha-1", "alpha-2", "Beta")
    with Peer([peer.reply(peer.text("hi"))], models=models) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.say("/model alpha")
        it.wait_for("several models match `alpha`")
        it.say("/model ALPHA-2")
        it.wait_for("model is now `alpha-2`")
        it.say("/model bet")
        it.wait_for("model is now `Beta`")
        it.say("/model nobody")
        it.wait_for("the server does not list it")
        it.say("/model beta")
        it.wait_idle()
        it.say("hello")
        it.wait_for("⏺ hi")
        assert server.requests[0].body["model"] == "Beta"


def test_errors_show_with_their_way_out_and_the_prompt_stays(nanocode: Program) -> None:
    script = [peer.error(401, "bad key"), peer.reply(peer.text("works"))]
    with Peer(script) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.say("/modle")
        it.wait_for("did you mean `/model`?")
        it.say("start")
        screen = it.wait_for("bad key")
        assert "401" in screen and "sk-test-0123456789" not in screen
        it.say("again")
        it.wait_for("⏺ works")
        assert users(server.requests[1]) == ["start", "again"]


def test_tools_show_folded_and_unfold(nanocode: Program) -> None:
    (nanocode.cwd / "a.py").write_text("one\ntwo\nthree\n")
    script = [
        peer.reply(peer.call("bash", {"command": "seq 1 30"})),
        peer.reply(peer.call("edit", {"path": "a.py", "edits": [{"oldText": "two", "newText": "TWO"}]})),
        peer.reply(peer.call("write", {"path": "b.py", "content": "new\nfile\n"})),
        peer.reply(peer.call("read", {"path": "missing.txt"})),
        peer.reply(peer.text("done")),
    ]
    with Peer(script) as server, terminal(nanocode.at(server.url), rows=50) as it:
        it.wait_idle()
        it.say("start")
        it.wait_for("⏺ done")
        screen = it.wait_idle()
        assert "⏺ bash(command=seq 1 30)\n⎿ 1 ... +29 lines" in screen
        assert (
            "⏺ edit(path=a.py)\n⎿ edited `a.py` (1 replacement)\n  1   one\n  2 - two\n  2 + TWO\n  3   three" in screen
        )
        assert "⏺ write(path=b.py)\n⎿ wrote new file `b.py` (2 lines, 9B)\n  1 + new\n  2 + file\n" in screen
        assert "⎿ No such file or directory" in screen
        assert re.search(r"\d\.\d s · \d+ in · 100 out", screen)
        it.say("/last 4")
        it.wait_for("29\n30")
        it.keys("C-o")
        it.wait(lambda screen: screen.count("No such file or directory") == 2)


def test_shell_lines_run_at_once_and_the_model_hears_of_one_kind(nanocode: Program) -> None:
    with Peer([peer.reply(peer.text("seen"))]) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.say("!echo to$((40+2))ld")
        it.wait_for("⎿ to42ld")
        it.wait_idle()
        it.say("!!echo un$((40+2))told")
        it.wait_for("⎿ un42told")
        it.wait_idle()
        it.say("what was it?")
        it.wait_for("⏺ seen")
        sent = str(server.requests[0].messages)
        assert "to42ld" in sent and "un42told" not in sent
        assert "The user ran" in sent and "The user ran" not in it.everything()


def test_files_named_in_the_prompt_go_with_it(nanocode: Program) -> None:
    (nanocode.cwd / "notes.txt").write_text("the secret word is plum\n")
    with Peer([peer.reply(peer.text("plum"))]) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_idle()
        it.type("read @not")
        it.wait_for(" notes.txt")
        it.keys("Tab")
        it.wait_for("read @notes.txt")
        it.keys("Enter")
        it.say("")
        it.wait_for("⏺ plum")
        assert users(server.requests[0]) == [
            'read @notes.txt\n\n<file path="notes.txt">\nthe secret word is plum\n</file>'
        ]


def leave_by(it: Terminal, way: str) -> None:
    if way in ("/q", "exit"):
        it.say(way)
    elif way == "C-c":
        it.keys("C-c")
        it.wait_for("Ctrl-C again quits")
        it.keys("C-c")
    elif way == "C-d":
        it.keys("C-d")
    else:
        # The pane's own process is the shell around it.
        [child] = Path(f"/proc/{it.process()}/task/{it.process()}/children").read_text().split()
        os.kill(int(child), getattr(signal, way))


@pytest.mark.parametrize(
    ("way", "code"), [("/q", 0), ("exit", 0), ("C-d", 0), ("C-c", 130), ("SIGTERM", 143), ("SIGHUP", 129)]
)
def test_every_way_out_leaves_a_sane_terminal_and_no_process(nanocode: Program, way: str, code: int) -> None:
    call = peer.call("bash", {"command": "echo $$ > pid; echo begun; exec sleep 1000"})
    shell = f"{sys.executable} -P -m nanocode; code=$?; stty -a > after; exit $code"
    words = ["sh", "-c", f"stty -a > before; {shell}"]
    with Peer([peer.reply(call)]) as server, terminal(nanocode.at(server.url), words=words) as it:
        it.wait_idle()
        if way.startswith("SIG"):
            it.say("start")
            it.wait_for("begun")
        leave_by(it, way)
        assert it.end() == code
    assert (nanocode.cwd / "after").read_text() == (nanocode.cwd / "before").read_text()
    if way.startswith("SIG"):
        with pytest.raises(ProcessLookupError):
            os.kill(int((nanocode.cwd / "pid").read_text()), 0)


def test_without_a_key_a_newcomer_is_told_how_to_get_going(nanocode: Program) -> None:
    with terminal(nanocode) as it:
        assert it.end() == 2
        screen = it.everything()
    for words in ("OPENCODE_API_KEY", "OPENAI_BASE_URL", "127.0.0.1", "--demo"):
        assert words in screen
    assert "Traceback" not in screen and "error" not in screen


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_without_colour_there_is_no_colour(nanocode: Program, variable: str, value: str) -> None:
    nanocode.environ[variable] = value
    with Peer([peer.reply(peer.text("**bold** and `code`"))]) as server, terminal(nanocode.at(server.url)) as it:
        it.wait_for("❯")
        it.say("start")
        it.wait_for("⏺ ")
        it.wait_for("code")
        colored: Any = re.findall(r"\x1b\[[0-9;]*3[0-7]m", it.everything("-e"))
        assert not colored
