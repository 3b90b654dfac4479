"""The completion scripts, each in its own shell: they load without a word, and complete."""

import shutil
import subprocess
from pathlib import Path

import pytest
from program import Program
from tmux import terminal

# What stands on the line, one word that is offered, and one that is not.
CASES = [
    ("nanocode --max-t", "--max-turns", "--max-cost"),
    ("nanocode --mode j", "json", "text"),
    ("nanocode --tools gre", "grep", "read"),
    ("nanocode do", "doctor", "batch"),
    ("nanocode tool webf", "webfetch", "websearch"),
    ("nanocode mcp lo", "login", "list"),
    ("nanocode completions f", "fish", "bash"),
    ("nanocode batch --retry", "--retry-failed", "--resume"),
    ("nanocode --no-", "--no-session", "--retry-failed"),
]


def needs(shell: str) -> str:
    return shutil.which(shell) or pytest.skip(f"`{shell}` is not installed")


def written(nanocode: Program, shell: str) -> Path:
    done = nanocode.run("completions", shell)
    assert (done.code, done.err) == (0, "")
    path = nanocode.root / f"completions.{shell}"
    path.write_text(done.out)
    return path


def said(*words: str) -> list[str]:
    """What a shell offers, a line each; fish writes the meaning behind a tab."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert not done.stderr and not done.returncode
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("line", "offered", "other"), CASES)
def test_bash_completes(nanocode: Program, line: str, offered: str, other: str) -> None:
    ask = f'COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _nanocode; printf "%s\\n" "${{COMPREPLY[@]}}"'
    found = said(needs("bash"), "--norc", "-c", f"source {written(nanocode, 'bash')}; {ask}")
    assert offered in found and other not in found


@pytest.mark.parametrize(("line", "offered", "other"), CASES)
def test_fish_completes(nanocode: Program, line: str, offered: str, other: str) -> None:
    found = said(needs("fish"), "--no-config", "-c", f"source {written(nanocode, 'fish')}; complete -C '{line}'")
    assert offered in found and other not in found


@pytest.mark.parametrize(("line", "offered", "other"), CASES)
def test_zsh_completes(nanocode: Program, line: str, offered: str, other: str) -> None:
    script = written(nanocode, "zsh")
    with terminal(nanocode, words=[needs("zsh"), "-f"]) as it:
        it.say(f"autoload -Uz compinit && compinit -u -D && source {script} && clear && echo loa''ded")
        it.wait_for("loaded")
        it.keys(*line, "Tab")
        shown = it.wait_for(offered)
    assert other not in shown


def test_an_unknown_shell_is_refused_with_the_known_ones(nanocode: Program) -> None:
    done = nanocode.run("completions", "csh")
    assert (done.code, done.out) == (2, "") and "bash, zsh, fish" in done.err
