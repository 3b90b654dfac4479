"""Trust is for one content at one place, survives a restart, and a broken record trusts nothing."""

import stat
from pathlib import Path

from nanocode.guard.trust import Trust


def test_a_file_is_trusted_once_its_very_content_was_accepted(tmp_path: Path) -> None:
    path, record = tmp_path / "mcp.json", tmp_path / "home" / "trust.json"
    trust = Trust(record)
    assert not trust.allows(path, b"one")
    assert trust.waiting == {path.resolve(): b"one"}
    trust.accept(path, b"one")
    assert trust.allows(path, b"one") and not trust.waiting
    assert Trust(record).allows(path, b"one"), "a new run still trusts it"
    assert not Trust(record).allows(path, b"two"), "other content is asked about again"
    assert not Trust(record).allows(tmp_path / "other.json", b"one"), "so is the same content elsewhere"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


def test_contents_of_several_branches_stay_trusted(tmp_path: Path) -> None:
    trust = Trust(tmp_path / "trust.json")
    for content in (b"one", b"two"):
        trust.accept(tmp_path / "mcp.json", content)
    assert all(trust.allows(tmp_path / "mcp.json", content) for content in (b"one", b"two"))


def test_trusting_everything_is_for_this_run_only(tmp_path: Path) -> None:
    record = tmp_path / "trust.json"
    assert Trust(record, everything=True).allows(tmp_path / "mcp.json", b"one")
    assert not record.exists()


def test_a_broken_record_trusts_nothing_and_is_replaced(tmp_path: Path) -> None:
    record = tmp_path / "trust.json"
    for broken in (b"{", b"[]", b'{"a": 1}', b"\xff"):
        record.write_bytes(broken)
        assert not Trust(record).allows(tmp_path / "mcp.json", b"one")
    Trust(record).accept(tmp_path / "mcp.json", b"one")
    assert Trust(record).allows(tmp_path / "mcp.json", b"one")


def test_a_link_is_the_file_it_leads_to(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"one")
    link.symlink_to(real)
    trust = Trust(tmp_path / "trust.json")
    trust.accept(link, b"one")
    assert trust.allows(real, b"one")
