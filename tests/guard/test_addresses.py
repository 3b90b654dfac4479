"""Addresses by class, however they are written, and which ones a user's text names."""

import pytest

from nanocode.guard.addresses import Reach, is_metadata, named, reach

PRIVATE = """127.0.0.1 127.9.9.9 10.1.2.3 172.16.0.1 192.168.1.1 100.64.0.1 ::1 fc00::1 ::ffff:10.0.0.1 64:ff9b::7f00:1
2002:7f00:1:: 198.18.0.1 240.0.0.1"""
NEVER = """169.254.169.254 169.254.0.1 fe80::1 fe80::1%eth0 fd00:ec2::254 100.100.100.200 0.0.0.0 :: 224.0.0.1
::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 192.0.0.192"""
CLASSES = {
    Reach.PUBLIC: ["93.184.216.34", "8.8.8.8", "2606:4700::1111"],
    Reach.PRIVATE: PRIVATE.split(),
    Reach.NEVER: NEVER.split(),
}


@pytest.mark.parametrize(("address", "kind"), [(each, kind) for kind, many in CLASSES.items() for each in many])
def test_an_address_has_its_class(address: str, kind: Reach) -> None:
    assert reach(address) is kind


def test_metadata_services_are_known_by_name() -> None:
    assert is_metadata("Metadata.Google.Internal.") and not is_metadata("example.com")


NAMED = [
    ("localhost", 3000, "look at http://localhost:3000/admin", True),
    ("localhost", 6379, "look at http://localhost:3000/admin", False),
    ("localhost", 6379, "it runs on localhost.", True),
    ("10.0.0.5", 80, "ask 10.0.0.5, please", True),
    ("10.0.0.5", 80, "ask 10.0.0.55", False),
    ("10.0.0.5", 80, "ask 110.0.0.5", False),
    ("local.example", 80, "see my-local.example or local.example.org", False),
    ("Box", 80, "the BOX", True),
    ("box", 80, "", False),
]


@pytest.mark.parametrize(("host", "port", "text", "is_named"), NAMED)
def test_a_host_is_named_as_a_word_with_its_port_or_none(host: str, port: int, text: str, is_named: bool) -> None:
    assert named(host, port, text) is is_named
