"""Texts of some fifty kinds for fitting and measuring, from packages that anyone can fetch; knows no tokeniser.

A corpus folder holds what these bring, unpacked (`dpkg -x`, `unzip`) into one folder a package:

deb/    debian-reference-{de,fr,ja,zh-cn,zh-tw} emacs-el erlang-src git-man gnome-user-docs golang-1.19-src
        installation-guide-amd64 libboost1.74-dev librust-{clap,regex,serde,syn,tokio}-dev linux-source-6.1 lua-socket
        manpages-{ja,ru,zh} mediawiki openjdk-17-source (its src.zip too) php-symfony-http-kernel postgresql-doc-15
        ruby-active{record,support}
linux/  the source in linux-source-6.1
npm/    npm i --ignore-scripts typescript lodash react-dom vue d3 three rxjs @angular/core eslint webpack bootstrap
        jquery highlight.js monaco-editor prettier @types/node chart.js tailwindcss@3 mermaid
wheel/  django 5.2 sympy 1.14 numpy matplotlib scikit-learn ansible-core
gen/    diff/*.diff: `diff -ru` of two versions of django and of sympy, `git log -p`;
        log/*.log: what ruff, mypy, gcc, pytest -v, strace, apt and dpkg write
"""

import base64
import gzip
import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

SIZE = 10_000
# A log is one long file: its parts count as files, far enough apart to differ.
PART = 40_000
FILES = 240


class Kind(NamedTuple):
    """One category: files below the corpus folder, and what becomes of their bytes."""

    group: str
    globs: tuple[str, ...]
    shape: Callable[[bytes, Path], bytes] = lambda data, path: data


def unpacked(data: bytes, path: Path) -> bytes:
    return gzip.decompress(data) if path.suffix == ".gz" else data


def prose(data: bytes, path: Path) -> bytes:
    """A page without its markup, as a text browser would show it."""
    text = unpacked(data, path).decode("utf-8", "replace")
    text = re.sub(r"(?s)<(script|style|head).*?</\1>|<[^>]+>", "", text)
    text = re.sub(r"&(?:nbsp|#160);", " ", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return re.sub(r"[ \t]*\n\s*\n+", "\n\n", text).strip().encode()


def words_of_json(data: bytes, path: Path) -> bytes:
    """The values of a translation file, one a line."""
    return b"\n".join(re.findall(rb'": "((?:[^"\\]|\\.)*)"', data))


def words_of_po(data: bytes, path: Path) -> bytes:
    return b"\n".join(re.findall(rb'msgstr(?:\[\d\])? "((?:[^"\\]|\\.)+)"', data))


def numbered(data: bytes, path: Path) -> bytes:
    """What the read tool shows."""
    return b"\n".join(b"%4d| %s" % (number, line) for number, line in enumerate(data.split(b"\n"), 1))


def grepped(data: bytes, path: Path) -> bytes:
    """What the grep tool shows of a word that is in every few lines."""
    lines = [
        b"%d: %s" % (number, line)
        for number, line in enumerate(data.split(b"\n"), 1)
        if b"return" in line or b"if " in line
    ]
    return b"\n".join([str(path).encode(), *lines])


def listed(data: bytes, path: Path) -> bytes:
    return subprocess.run(["ls", "-la", str(path.parent)], capture_output=True).stdout


def found(data: bytes, path: Path) -> bytes:
    return b"\n".join(str(each).encode() for each in islice(path.parent.parent.rglob("*"), 400))


def dumped(data: bytes, path: Path) -> bytes:
    rows = (data[at : at + 16] for at in range(0, 16 * 200, 16))
    return b"\n".join(b"%08x  %s" % (16 * number, row.hex(" ").encode()) for number, row in enumerate(rows))


def encoded(data: bytes, path: Path) -> bytes:
    return base64.b64encode(data[: 2 * SIZE])


def hashed(data: bytes, path: Path) -> bytes:
    """Check sums beside names, as `sha256sum` and lock files have them."""
    pieces = [data[at : at + 64] for at in range(0, 64 * 150, 64)]
    return b"\n".join(b"%s  %s" % (hashlib.sha256(piece).hexdigest().encode(), path.name.encode()) for piece in pieces)


def frames(data: bytes, path: Path) -> bytes:
    """The same text with the boxes and rules that programs draw."""
    lines = data.split(b"\n")
    rule = "━".encode() * 78
    return b"\n".join(
        b"".join((rule, b"\n", line, b"\n" + b"=" * 60 if n % 2 else b"")) for n, line in enumerate(lines)
    )


_HELP = "deb/gnome-user-docs/usr/share/help"
_GUIDE = "deb/installation-guide-amd64/usr/share/doc/installation-guide-amd64"
_WIKI = "deb/mediawiki/usr/share/mediawiki"


def spoken(group: str, code: str) -> Kind:
    """Manuals and messages in one language: help pages, the installation guide, a wiki's words, man pages."""
    wiki = {"zh_CN": "zh-hans", "zh_TW": "zh-hant", "pt_BR": "pt-br"}.get(code, code)
    globs = (
        f"{_HELP}/{code}/**/*.page",
        f"{_GUIDE}/{code}/**/*.html",
        f"deb/manpages-{code[:2]}/usr/share/man/{code}*/man*/*.gz",
        f"deb/debian-reference-{code.lower().replace('_', '-')}/usr/share/debian-reference/*.html",
        f"{_WIKI}/languages/i18n/{wiki}.json",
        f"{_WIKI}/*/*/i18n/**/{wiki}.json",
        f"wheel/django/**/locale/{code}/**/*.po",
    )
    return Kind(group, globs, lambda data, path: (_WORDS.get(path.suffix) or prose)(data, path))


_WORDS = {".json": words_of_json, ".po": words_of_po}


LANGUAGES = {
    "prose": ("de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "fi", "hu", "ro", "tr", "vi"),
    "cjk": ("zh_CN", "zh_TW", "ja", "ko"),
    "scripts": (
        *("ru", "uk", "bg", "el", "ar", "he", "fa", "hi", "bn", "gu", "kn", "ml", "pa", "ta", "te", "th", "ka", "hy"),
    ),
}
KINDS: dict[str, Kind] = {
    "c": Kind("code", ("linux/*/kernel/**/*.c", "linux/*/fs/**/*.c")),
    "c headers": Kind("code", ("linux/*/drivers/net/**/*.h",)),
    "c++": Kind("code", ("deb/libboost1.74-dev/**/*.hpp",)),
    "python": Kind("code", ("wheel/*/**/*.py",)),
    "javascript": Kind("code", ("npm/node_modules/*/lib/**/*.js", "npm/node_modules/three/src/**/*.js")),
    "typescript": Kind("code", ("npm/node_modules/**/*.ts",)),
    "java": Kind("code", ("deb/openjdk-17-source/src/**/*.java",)),
    "go": Kind("code", ("deb/golang-1.19-src/**/*.go",)),
    "rust": Kind("code", ("deb/librust-*/**/*.rs",)),
    "ruby": Kind("code", ("deb/ruby-*/**/*.rb",)),
    "php": Kind("code", (f"{_WIKI}/includes/**/*.php", "deb/php-*/**/*.php")),
    "erlang": Kind("code", ("deb/erlang-src/**/*.erl",)),
    "shell": Kind("code", ("linux/*/tools/**/*.sh",)),
    "lisp": Kind("code", ("deb/emacs-el/**/*.el.gz",), unpacked),
    "assembly": Kind("code", ("deb/golang-1.19-src/**/*.s",)),
    "device tree": Kind("code", ("linux/*/arch/arm64/boot/**/*.dts*",)),
    "sql": Kind("code", (f"{_WIKI}/**/*.sql",)),
    "css": Kind("code", (f"{_WIKI}/**/*.less", "npm/node_modules/bootstrap/**/*.scss")),
    "html": Kind("code", (f"{_GUIDE}/en/*.html", "deb/postgresql-doc-15/**/*.html")),
    "json": Kind("code", ("npm/node_modules/**/package.json", f"{_WIKI}/**/*.json")),
    "yaml": Kind("code", ("linux/*/Documentation/**/*.yaml",)),
    "markdown": Kind("code", ("npm/node_modules/**/*.md",)),
    "rst": Kind("code", ("linux/*/Documentation/**/*.rst",)),
    "makefile": Kind("code", ("linux/**/Makefile",)),
    "read": Kind("tool output", ("wheel/sympy/**/*.py", "npm/node_modules/rxjs/src/**/*.ts"), numbered),
    "grep": Kind("tool output", ("wheel/django/**/*.py", "linux/*/fs/**/*.c"), grepped),
    "ls": Kind("tool output", ("linux/*/*/*/Makefile", "wheel/*/**/__init__.py"), listed),
    "find": Kind("tool output", ("linux/*/*/*/*/Makefile", "npm/node_modules/*/package.json"), found),
    "diff": Kind("tool output", ("gen/diff/*.diff",)),
    "log": Kind("tool output", ("gen/log/*.log",)),
    "hexdump": Kind("encoded", ("npm/node_modules/**/*.woff2", "deb/mediawiki/**/*.png"), dumped),
    "base64": Kind("encoded", ("deb/mediawiki/**/*.png", "wheel/matplotlib/**/*.png"), encoded),
    "hashes": Kind("encoded", ("linux/*/fs/**/*.c",), hashed),
    "minified": Kind("encoded", ("npm/node_modules/**/*.min.js", "npm/node_modules/**/*.min.css")),
    "source map": Kind("encoded", ("npm/node_modules/**/*.map",)),
    "csv": Kind("encoded", ("wheel/**/*.csv",)),
    "svg": Kind("encoded", ("deb/mediawiki/**/*.svg", "wheel/matplotlib/**/*.svg")),
    "rules and boxes": Kind("tool output", ("linux/*/Documentation/**/*.rst",), frames),
    "english": Kind("prose", (f"{_HELP}/C/**/*.page", f"{_GUIDE}/en/*.html"), prose),
    "man pages": Kind("prose", ("deb/git-man/**/*.gz",), unpacked),
    **{code: spoken(group, code) for group, codes in LANGUAGES.items() for code in codes},
}


def texts(root: Path, name: str, odd: bool, count: int = FILES) -> list[str]:
    """Up to `count` texts of one kind, each of `SIZE` bytes; `odd` picks the half of the files that is for testing."""
    kind = KINDS[name]
    paths = _chosen(root, kind, odd, count * 3)
    # Where there are few files, more of each is taken.
    most = SIZE * max(1, min(8, 2 * count // max(1, len(paths))))
    pieces = (piece for path in paths for whole in _pieces(kind, path, odd) for piece in _cut(whole[:most]))
    joined, filled = [], b""
    for piece in pieces:
        if kind.group in ("cjk", "scripts") and sum(byte > 127 for byte in piece) < len(piece) * 0.4:
            continue  # a page that nobody has translated yet
        filled += piece + b"\n"
        if len(filled) >= SIZE:
            joined.append(filled[:SIZE].decode("utf-8", "ignore"))
            filled = b""
        if len(joined) == count:
            break
    return joined


def _chosen(root: Path, kind: Kind, odd: bool, count: int) -> list[Path]:
    """Every other file, spread evenly over all that fit."""
    paths = sorted({path for glob in kind.globs for path in root.glob(glob) if path.is_file()})
    if all(path.suffix in (".log", ".diff") for path in paths):
        return paths
    half = paths[int(odd) :: 2]
    return half[:: max(1, len(half) // count)]


def _cut(data: bytes) -> Iterator[bytes]:
    yield from (data[at : at + SIZE] for at in range(0, len(data), SIZE))


def _pieces(kind: Kind, path: Path, odd: bool) -> Iterator[bytes]:
    data = path.read_bytes()
    if path.suffix in (".log", ".diff"):
        starts = range(PART * odd, len(data), 2 * PART)
        yield from (data[at : at + SIZE] for at in starts[:: max(1, len(starts) // 60)])
    elif len(data) > 40:
        yield kind.shape(data, path)
