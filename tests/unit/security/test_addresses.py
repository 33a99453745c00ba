"""Lists of addresses that an acceptor goes by."""

from pathlib import Path

import pytest
from twisted.logger import LogEvent, formatEvent

from ems.errors import CommandError
from ems.security.addresses import MAX_NETWORKS, AddressFilter, AddressSet


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("192.0.2.10", True),
        ("192.0.2.11", False),
        ("::ffff:192.0.2.10", True),
        ("198.51.100.77", True),
        ("2001:db8:1::5", True),
        ("2001:db8:2::5", False),
        ("fe80::1%eth0", True),
    ],
)
def test_addresses_and_networks(host: str, found: bool) -> None:
    """An address is found as itself and in its network, of either family."""
    assert (host in AddressSet(["192.0.2.10", "198.51.100.0/24", "2001:db8:1::/48", "fe80::/10"])) is found


@pytest.mark.parametrize(
    ("black", "white", "admitted"),
    [
        (None, None, "abc"),
        ("", "", "abc"),
        ("a", "", "bc"),
        ("a", None, "bc"),
        ("", "b", "b"),
        (None, "b", "b"),
        ("a", "ab", "b"),
    ],
)
def test_the_table_of_the_documents(tmp_path: Path, black: str | None, white: str | None, admitted: str) -> None:
    """Whitelist and blacklist together: who is on both stays outside, an empty whitelist is none."""
    hosts = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}

    def file(name: str, letters: str | None) -> Path | None:
        if letters is None:
            return None
        path = tmp_path / name
        path.write_text("# who\n\n" + "".join(f"{hosts[letter]}  # it\r\n" for letter in letters))
        return path

    door = AddressFilter(file("white", white), file("black", black))
    assert "".join(letter for letter, host in hosts.items() if not door.refusal(host)) == admitted


def test_a_change_counts_at_once(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """The next connection meets the new list; a file that is gone leaves the list as it was, and the log says so once."""
    black = tmp_path / "black"
    black.write_text("192.0.2.1")
    door = AddressFilter(None, black)
    black.write_text("192.0.2.0/24")
    assert door.refusal("192.0.2.77") == "its address is on the blacklist"
    black.unlink()
    for _ in range(3):
        assert door.refusal("192.0.2.77")
    assert len([event for event in log_events if "stays as it was" in formatEvent(event)]) == 1


def test_a_wrong_line_is_left_out_and_told(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """A typing error does not open the door."""
    white = tmp_path / "white"
    white.write_text("192.0.2.1\ncamera.example\n192.0.2.300\n")
    door = AddressFilter(white, None)
    assert not door.refusal("192.0.2.1")
    assert door.refusal("192.0.2.2")
    assert [formatEvent(event).rpartition("white")[2] for event in log_events] == [
        ":2: not an address or network",
        ":3: not an address or network",
    ]


@pytest.mark.parametrize("content", [None, b"1.1.1.1\n" * (MAX_NETWORKS + 1), b"#" * (300 << 10)])
def test_a_list_that_cannot_be_read_is_an_error_of_the_acceptor(tmp_path: Path, content: bytes | None) -> None:
    """A door whose list is missing or absurd does not open at all."""
    if content is not None:
        (tmp_path / "white").write_bytes(content)
    with pytest.raises(CommandError, match="cannot read the addresses"):
        AddressFilter(tmp_path / "white", None)
