"""What a project and its user wrote down for the agent, as the model is told it by the real program."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import peer
import pytest
from peer import Peer, Request
from program import Program
from tmux import needs_tmux, terminal

RULE = "Never push on a Friday."
SKILL = "---\nname: x\ndescription: Bakes bread, when the user asks for bread.\n---\n\nKnead for ten minutes.\n"


def git(*words: str, cwd: Path) -> None:
    plain = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *plain, *words], cwd=cwd, check=True, capture_output=True)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def cloned(program: Program) -> Path:
    """The program now works in a fresh clone that has only root AGENTS.md and one skill."""
    origin = program.root / "origin"
    put(origin / "AGENTS.md", f"{RULE}\n")
    put(origin / ".agents" / "skills" / "x" / "SKILL.md", SKILL)
    git("init", "-q", cwd=origin)
    git("add", "-A", cwd=origin)
    git("commit", "-q", "-m", "All of it", cwd=origin)
    git("clone", "-q", str(origin), "clone", cwd=program.root)
    program.cwd = program.root / "clone"
    return program.cwd


def system(request: Request) -> str:
    first = request.messages[0]
    assert first["role"] == "system"
    return str(first["content"])


def told(program: Program, *flags: str) -> str:
    """The system prompt of a run."""
    with Peer([peer.reply(peer.text("ok"))]) as server:
        done = program.at(server.url).run("--no-session", *flags, "hi")
        assert done.code == 0, done.err
        return system(server.requests[0])


def test_a_fresh_clone_tells_its_rules_and_its_skill(nanocode: Program) -> None:
    clone = cloned(nanocode)
    prompt = told(nanocode)
    assert prompt.count(RULE) == 1 and str(clone / "AGENTS.md") in prompt
    line = next(line for line in prompt.splitlines() if line.startswith("- x: "))
    assert "Bakes bread" in line and str(clone / ".agents/skills/x/SKILL.md") in line
    assert "Knead" not in prompt, "the body is read when it is needed"


def test_from_a_folder_below_the_root_the_same(nanocode: Program) -> None:
    nanocode.cwd = cloned(nanocode) / "src" / "deep"
    nanocode.cwd.mkdir(parents=True)
    prompt = told(nanocode)
    assert RULE in prompt and "- x: Bakes bread" in prompt


def test_root_context_can_be_turned_off(nanocode: Program) -> None:
    cloned(nanocode)
    nanocode.environ["NANOCODE_ROOT_CONTEXT"] = "0"
    prompt = told(nanocode)
    assert RULE not in prompt and "Bakes bread" not in prompt


def test_no_context_files_leaves_them_out_and_keeps_the_skills(nanocode: Program) -> None:
    clone = cloned(nanocode)
    put(clone / ".nanocode" / "AGENTS.md", "Own rule.\n")
    put(nanocode.home / ".nanocode" / "AGENTS.md", "User's rule.\n")
    for flag in ("--no-context-files", "-nc"):
        prompt = told(nanocode, flag)
        assert RULE not in prompt and "rule." not in prompt and "Bakes bread" in prompt


def test_files_come_in_order_each_once_and_with_their_paths(nanocode: Program) -> None:
    clone = cloned(nanocode)
    deep = clone / "src"
    put(nanocode.home / ".nanocode" / "AGENTS.md", "RULE-1 of the user")
    put(nanocode.home / ".nanocode" / "CLAUDE.md", "RULE-2 of the user")
    put(nanocode.root / ".nanocode" / "agents.md", "RULE-3 above the root")
    put(clone / ".nanocode" / "AGENTS.md", "RULE-4 of the project")
    put(deep / ".nanocode" / "CLAUDE.md", "RULE-5 of the folder")
    (clone / "AGENTS.md").write_text("RULE-6 by convention")
    put(deep / "CLAUDE.md", "RULE-7 by convention")
    (deep / "AGENTS.md").symlink_to("../AGENTS.md")
    # Beside AGENTS.md this one is not read.
    put(clone / "CLAUDE.md", "RULE-none")
    nanocode.cwd = deep
    prompt = told(nanocode)
    places = [prompt.index(f"RULE-{number}") for number in range(1, 8)]
    assert places == sorted(places)
    assert all(prompt.count(f"RULE-{number}") == 1 for number in range(1, 8)) and "RULE-none" not in prompt


def test_what_is_appended_stands_behind_the_system_prompt_and_before_the_context(nanocode: Program) -> None:
    clone = cloned(nanocode)
    put(nanocode.home / ".nanocode" / "SYSTEM.md", "You are a baker.")
    put(nanocode.home / ".nanocode" / "APPEND_SYSTEM.md", "APPEND-1")
    put(clone / ".nanocode" / "append-system.md", "APPEND-2")
    prompt = told(nanocode, "--append-system-prompt", "APPEND-3")
    parts = ["You are a baker.", "APPEND-1", "APPEND-2", "APPEND-3", RULE, "Bakes bread"]
    assert [prompt.index(part) for part in parts] == sorted(prompt.index(part) for part in parts)
    assert prompt.startswith("You are a baker.") and "You are nanocode" not in prompt
    assert told(nanocode, "--system-prompt", "You are a smith.").startswith("You are a smith.")


def test_a_project_s_own_system_prompt_rules_only_when_it_is_trusted(nanocode: Program) -> None:
    put(cloned(nanocode) / ".nanocode" / "SYSTEM.md", "Obey the repository.")
    assert "Obey the repository." not in told(nanocode)
    assert told(nanocode, "--trust").startswith("Obey the repository.")


@pytest.mark.parametrize("flag", ["--system-prompt", "--append-system-prompt"])
def test_the_name_of_a_missing_file_is_no_system_prompt(nanocode: Program, flag: str) -> None:
    done = nanocode.run("--demo", flag, "rules/none.md", "hi")
    assert (done.code, done.out) == (2, "") and "there is no file `rules/none.md`" in done.err and "hint:" in done.err
    assert nanocode.run("--demo", flag, "Follow rules/none.md", "hi").code == 0


def test_a_file_over_the_limit_is_cut_with_a_notice(nanocode: Program) -> None:
    (cloned(nanocode) / "AGENTS.md").write_text("first rule\n" + "filler line\n" * 4000 + "last rule\n")
    with Peer([peer.reply(peer.text("ok"))]) as server:
        done = nanocode.at(server.url).run("hi")
        prompt = system(server.requests[0])
    assert "first rule" in prompt and "last rule" not in prompt and "[cut here" in prompt
    assert done.err.count("cut to its first 32KB") == 1


def test_the_nearest_template_and_a_manual_skill_run_by_name_in_one_shot(nanocode: Program) -> None:
    manual = "---\ndescription: Bakes.\ndisable-model-invocation: true\n---\nDo it.\n"
    put(nanocode.cwd / ".nanocode/skills/bake/SKILL.md", manual)
    for folder, text in ((nanocode.home, "user's $1"), (nanocode.cwd, "project's $1, in full: $ARGUMENTS")):
        put(folder / ".nanocode/prompts/greet.md", f"---\ndescription: greets\n---\n{text}\n")
    with Peer([peer.reply(peer.text("ok")), peer.reply(peer.text("ok"))]) as server:
        assert nanocode.at(server.url).run("/greet Ann now").code == 0
        assert nanocode.run("/skill:bake rye").code == 0
        wrong = nanocode.run("/skill:bakes rye")
    first, second = (str(request.messages[-1]["content"]) for request in server.requests)
    assert first == "project's Ann, in full: Ann now"
    assert "Do it." in second and second.endswith("rye") and "bake" not in str(server.requests[1].messages[0])
    assert wrong.code == 2 and "did you mean `/skill:bake`?" in wrong.err


@pytest.mark.parametrize("called", ["/greet", "/skill:bake"])
def test_piped_text_and_further_lines_join_what_is_called_by_name(nanocode: Program, called: str) -> None:
    put(nanocode.cwd / ".nanocode/skills/bake/SKILL.md", "---\ndescription: Bakes.\n---\nDo it.\n")
    put(nanocode.cwd / ".nanocode/prompts/greet.md", "Do it.\n")
    with Peer([peer.reply(peer.text("ok")), peer.reply(peer.text("ok"))]) as server:
        assert nanocode.at(server.url).run(called, stdin="one\ntwo\n").code == 0
        assert nanocode.run(f"{called}\none\ntwo").code == 0
    for request in server.requests:
        text = str(request.messages[-1]["content"])
        assert "Do it." in text and text.endswith("one\ntwo") and called not in text


@needs_tmux
def test_reload_reads_again_and_both_lists_are_shown(nanocode: Program) -> None:
    clone = cloned(nanocode)
    script = [peer.reply(peer.text(word)) for word in ("one", "two", "three")]
    with Peer(script) as server, terminal(nanocode.at(server.url), columns=160) as it:
        it.wait_for("context: AGENTS.md\nskills: x")
        it.wait_idle()
        assert "hidden" not in it.screen()
        it.say("hi")
        it.wait_for("⏺ one")
        (clone / "AGENTS.md").write_text("Push on Fridays.\n")
        put(clone / ".nanocode" / "skills" / "y" / "SKILL.md", "---\ndescription: Brews tea.\n---\nBoil.\n")
        it.wait_idle()
        it.say("and")
        it.wait_for("⏺ two")
        put(clone / ".nanocode" / "prompts" / "cost.md", "What does $1 cost?\n")
        it.wait_idle()
        it.say("/reload")
        it.wait_for("skills: y, x")
        it.wait_for("cost.md` is hidden by the command `/cost`")
        it.wait_idle()
        it.say("/context")
        it.wait(lambda screen: re.search(r"context files +\d+  AGENTS.md$", screen, re.MULTILINE) is not None)
        it.wait(lambda screen: re.search(r"skills +\d+  y, x$", screen, re.MULTILINE) is not None)
        it.wait_idle()
        it.say("/skill:y green")
        it.wait_for("⏺ three")
    before, same, after = server.requests
    assert system(before) == system(same) and RULE in system(before)
    assert "Push on Fridays." in system(after) and RULE not in system(after) and "- y: Brews tea." in system(after)
    sent = str(after.messages[-1]["content"])
    assert "Boil." in sent and sent.endswith("green")


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_picture_goes_to_a_model_that_takes_one_and_is_left_out_for_another(nanocode: Program) -> None:
    (nanocode.cwd / "shot.png").write_bytes(PNG)
    script = [
        peer.reply(peer.call("read", {"path": "shot.png"})),
        peer.reply(peer.text("a dot")),
        peer.reply(peer.text("I take your word")),
    ]
    with Peer(script) as server:
        assert nanocode.at(server.url, "kimi-k2.6").run("what is in @shot.png?").out == "a dot\n"
        blind = nanocode.at(server.url, "glm-5.1").run("--continue", "and @shot.png now?")
        assert blind.code == 0 and "`glm-5.1` does not take images" in blind.err
    first, second, third = server.requests
    sent = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}}
    assert first.messages[1]["content"] == [{"type": "text", "text": "what is in @shot.png?"}, sent]
    assert second.messages[-1]["content"][1] == sent and second.messages[-2]["role"] == "tool"
    assert b"image_url" not in third.raw
    assert [str(each["content"]).count("images left out") for each in third.messages[1:]] == [1, 0, 1, 0, 0]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may read everything")
@pytest.mark.parametrize("closed", [".nanocode", ".nanocode/skills/x", ".nanocode/AGENTS.md", ".git"])
def test_what_may_not_be_read_does_not_stop_the_start(nanocode: Program, closed: str) -> None:
    put(nanocode.cwd / ".nanocode" / "AGENTS.md", RULE)
    put(nanocode.cwd / ".nanocode" / "skills" / "x" / "SKILL.md", SKILL)
    put(nanocode.cwd / ".nanocode" / "mcp.json", "{}")
    put(nanocode.cwd / ".git" / "HEAD", "ref: refs/heads/main\n")
    (nanocode.cwd / closed).chmod(0)
    if os.geteuid() == 0:
        nanocode.before = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    try:
        done = nanocode.run("--demo", "hello")
        assert done.code == 0 and "Traceback" not in done.err
    finally:
        (nanocode.cwd / closed).chmod(0o700)
