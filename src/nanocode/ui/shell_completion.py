"""`nanocode completions bash|zsh|fish`: scripts made of the tables of flags and tools; knows no shell at work."""

from collections.abc import Iterator, Sequence
from string import Template

from nanocode import tools
from nanocode.errors import UsageError
from nanocode.settings import BATCH_FLAGS, FLAGS, Flag

# The words that come first, and what may follow each.
COMMANDS = {
    "batch": (),
    "completions": ("bash", "zsh", "fish"),
    "doctor": (),
    "mcp": ("list", "add", "remove", "login"),
    "tool": tuple(tool.name for tool in tools.ALL),
}
_FILES = ("FILE", "PATH", "DIR")

_BASH = """\
# Completion of nanocode for bash: source <(nanocode completions bash)
_nanocode() {
    local current=$${COMP_WORDS[COMP_CWORD]} before=$${COMP_WORDS[COMP_CWORD-1]} word flags='$flags'
    for word in "$${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $$word == batch ]] && flags+=' $batch'
    done
    COMPREPLY=()
    case $$before in
$values
    esac
    if [[ $$current == -* ]]; then
        COMPREPLY=($$(compgen -W "$$flags" -- "$$current"))
    elif ((COMP_CWORD == 1)); then
        COMPREPLY=($$(compgen -W '$commands' -- "$$current"))
    fi
}
complete -o bashdefault -o default -F _nanocode nanocode
"""
_ZSH = """\
#compdef nanocode
# Completion of nanocode for zsh: source <(nanocode completions zsh), behind compinit
_nanocode() {
    local -a flags=(
$flags
    )
    (( $${words[(I)batch]} )) && flags+=(
$batch
    )
    case $${words[CURRENT-1]} in
$values
    esac
    _arguments -s $$flags '1:command:($commands)' '*:file:_files'
}
compdef _nanocode nanocode
"""
_FISH = """\
# Completion of nanocode for fish: nanocode completions fish | source
complete -c nanocode -n __fish_use_subcommand -a '$commands'
$values
$flags
$batch
"""


def script(words: Sequence[str]) -> str:
    """The script for the shell that the words name. Raises UsageError when they name none."""
    shells = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    if len(words) != 1 or words[0] not in shells:
        raise UsageError("usage: nanocode completions SHELL", f"the shells are: {', '.join(shells)}")
    return shells[words[0]]()


def _bash() -> str:
    return Template(_BASH).substitute(
        flags=" ".join(_names(FLAGS)),
        batch=" ".join(_names(BATCH_FLAGS)),
        commands=" ".join(COMMANDS),
        values="\n".join(_bash_values()),
    )


def _names(flags: Sequence[Flag]) -> Iterator[str]:
    return (name for flag in flags for name in flag.names)


def _bash_values() -> Iterator[str]:
    for flag in (*FLAGS, *BATCH_FLAGS):
        if words := _values(flag):
            yield _bash_case("|".join(flag.names), words)
        elif flag.metavar.endswith(_FILES):
            # Without a reply of ours, bash completes files.
            yield f"    {'|'.join(flag.names)}) return ;;"
    for command, words in COMMANDS.items():
        if words:
            yield _bash_case(command, words)


def _bash_case(before: str, words: Sequence[str]) -> str:
    return f"    {before}) COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$current\")); return ;;"


def _values(flag: Flag) -> tuple[str, ...]:
    return (*COMMANDS["tool"], "none", "all") if flag.field == "tools" else flag.choices


def _zsh() -> str:
    words = [f"    {command}) compadd -- {' '.join(words)}; return ;;" for command, words in COMMANDS.items() if words]
    return Template(_ZSH).substitute(
        flags="\n".join(map(_zsh_flag, FLAGS)),
        batch="\n".join(map(_zsh_flag, BATCH_FLAGS)),
        commands=" ".join(COMMANDS),
        values="\n".join(words),
    )


def _zsh_flag(flag: Flag) -> str:
    meaning = "".join(f"\\{char}" if char in "[]:\\" else char for char in flag.meaning)
    takes = ""
    if flag.metavar and not flag.metavar.startswith("["):
        values = _values(flag)
        action = f"({' '.join(values)})" if values else ("_files" if flag.metavar.endswith(_FILES) else " ")
        takes = f":{flag.metavar}:{action}"
    spelled = [_quoted(f"({' '.join(flag.names)}){name}[{meaning}]{takes}", "'\\''") for name in flag.names]
    return "\n".join(f"        {each}" for each in spelled)


def _fish() -> str:
    seen = "-n '__fish_seen_subcommand_from {}'"
    words = [
        f"complete -c nanocode {seen.format(command)} -f -a '{' '.join(words)}'"
        for command, words in COMMANDS.items()
        if words
    ]
    return Template(_FISH).substitute(
        flags="\n".join(map(_fish_flag, FLAGS)),
        batch="\n".join(f"{_fish_flag(flag)} {seen.format('batch')}" for flag in BATCH_FLAGS),
        commands=" ".join(COMMANDS),
        values="\n".join(words),
    )


def _fish_flag(flag: Flag) -> str:
    kinds = ["-l" if name.startswith("--") else "-s" if len(name) == 2 else "-o" for name in flag.names]
    names = " ".join(f"{kind} {name.lstrip('-')}" for kind, name in zip(kinds, flag.names, strict=True))
    takes = ""
    if flag.metavar and not flag.metavar.startswith("["):
        values = _values(flag)
        takes = f" -x -a '{' '.join(values)}'" if values else (" -r" if flag.metavar.endswith(_FILES) else " -x")
    quoted = _quoted(flag.meaning.replace("\\", "\\\\"), "\\'")
    return f"complete -c nanocode {names}{takes} -d {quoted}"


def _quoted(words: str, quote: str) -> str:
    return "'" + words.replace("'", quote) + "'"
