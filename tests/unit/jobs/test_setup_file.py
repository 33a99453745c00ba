"""pushPullSetup.xml, byte by byte: what the original writes is read, and what is written it would read."""

import hashlib
import re
import struct
from collections.abc import Mapping

import pytest

from ems.config.variant import Array, Int64, UInt8, UInt32, UInt64, Variant, VariantError, checksum, index_name
from ems.config.variant_xml import read_variant, write_variant
from ems.jobs.settings import PULL, PUSH
from ems.jobs.setup_file import KINDS, Entry, make_piece, read_setup, write_setup
from ems.version import Version

VERSION = Version("EMS 1.0 build 7", "main", "2026-01-02T03:04:05.000", "7", "Clear Water", "abc", "1.0")

LOBBY = Entry("pull", 7, {**PULL, "uri": "rtsp://u:p@192.0.2.40/cam/7", "localStreamName": "lobby", "operationType": UInt8(1)})
RELAY = Entry("push", 12, {**PUSH, "targetUri": "rtmp://192.0.2.9/live", "localStreamName": "lobby", "operationType": UInt8(2)})
SHOW = Entry(
    "hls",
    3,
    {
        "bandwidth": UInt32(900),
        "groupName": "show",
        "keepAlive": True,
        "offsetTime": Int64(0),
        "operationType": UInt8(3),
        "timestamp": 1715000000123.0,
        "_tags": ["a", "b"],
    },
)


def written_of(*entries: Entry) -> bytes:
    return write_setup([make_piece(entry) for entry in entries], VERSION)


def root_of(content: bytes) -> Mapping[str, Variant]:
    root = read_variant(content)
    assert isinstance(root, dict)
    return root


def of_the_original(layout: int, **lists: Variant) -> bytes:
    """A file as the original writes it."""
    root: dict[str, Variant] = {**{kind: Array() for kind in KINDS}, "serverVersion": {}, "version": UInt32(layout), **lists}
    return write_variant({**root, "checksum": checksum(root)})


def test_the_layout_is_the_originals() -> None:
    """One list a kind, entries by id, the exact types, names in byte order, four blanks a level."""
    lines = written_of(LOBBY).decode().split("\n")
    assert lines[:2] == ['<?xml version="1.0" ?>', '<MAP isArray="false" name="">']
    assert re.fullmatch(r'    <STR name="checksum">[0-9a-f]{32}</STR>', lines[2])
    assert lines[3:10] == [
        '    <MAP isArray="true" name="dash" />',
        '    <MAP isArray="true" name="hds" />',
        '    <MAP isArray="true" name="hls" />',
        '    <MAP isArray="true" name="mss" />',
        '    <MAP isArray="true" name="process" />',
        '    <MAP isArray="true" name="pull">',
        '        <MAP isArray="false" name="0x00000007">',
    ]
    for line in (
        '<UINT32 name="configId">7</UINT32>',
        '<BOOL name="keepAlive">true</BOOL>',
        '<UINT8 name="operationType">1</UINT8>',
        '<INT64 name="rangeStart">-2</INT64>',
        '<UINT64 name="ttl">256</UINT64>',
        '<STR name="ssmIp"></STR>',
        '<STR name="uri">rtsp://u:p@192.0.2.40/cam/7</STR>',
    ):
        assert f"            {line}" in lines
    assert lines[-4:] == [
        '    <UINT32 name="version">26</UINT32>',
        '    <MAP isArray="true" name="webrtc" />',
        "</MAP>",
        "",
    ]
    server_version = root_of(written_of())["serverVersion"]
    assert server_version == {
        "banner": "EMS 1.0 build 7",
        "branchName": "main",
        "buildDate": "2026-01-02T03:04:05.000",
        "buildNumber": "7",
        "codeName": "Clear Water",
        "hash": "abc",
        "releaseNumber": "1.0",
    }


def test_the_checksum_is_the_originals() -> None:
    """The checksum is the MD5 of the binary form, here made by hand for an empty file."""

    def text(value: str) -> bytes:
        return struct.pack(">I", len(value)) + value.encode()

    def entry(name: str, value: bytes) -> bytes:
        return text(name) + value

    root = root_of(written_of())
    server_version = root["serverVersion"]
    assert isinstance(server_version, dict)
    empty_list = b"\x13\x01" + bytes(4)
    words = b"".join(entry(key, b"\x11" + text(str(value))) for key, value in server_version.items())
    entries = dict.fromkeys(KINDS, empty_list)
    entries["serverVersion"] = b"\x13\x00" + struct.pack(">I", 7) + words
    entries["version"] = b"\x0a" + struct.pack(">I", 26)
    binary = b"\x13\x00" + struct.pack(">I", 11) + b"".join(entry(name, entries[name]) for name in sorted(entries))
    assert root["checksum"] == hashlib.md5(binary).hexdigest()


def test_what_is_written_is_read() -> None:
    """A restart finds every entry as it was, with its id, its user variables and the kinds that this version cannot run."""
    metadata = Entry("metalistener", 20, {"port": UInt64(8110), "ip": "0.0.0.0"})
    written = written_of(LOBBY, RELAY, SHOW, metadata)
    setup = read_setup(written)
    assert setup.doubts == ()
    assert {entry.id: entry for entry in setup.entries} == {7: LOBBY, 12: RELAY, 3: SHOW, 20: metadata}
    assert written_of(*setup.entries) == written
    assert root_of(written)["version"] == 27


def test_the_state_is_not_stored() -> None:
    """What is known only while the server runs stays out of the file, also when an older one had put it there."""
    stored = Array({index_name(4): {"configId": UInt32(4), "status": {"current": {}}, "computedPathToFile": "/x", "type": "ts"}})
    [entry] = read_setup(of_the_original(26, record=stored)).entries
    assert entry == Entry("record", 4, {"type": "ts"})


def test_a_file_put_together_is_the_file_made_at_once() -> None:
    """Whatever an entry contains, the file is the one that its values stand for, with the right checksum."""
    nasty = Entry("dash", 2, {kind: Array() for kind in KINDS} | {"_text": '\n    <MAP isArray="true" name="pull" />\n'})
    entries = [LOBBY, RELAY, SHOW, nasty, Entry("pull", 2**31, {"_lists": ["", "pull"]})]
    root = root_of(written_of(*entries))
    lists = {kind: Array() for kind in KINDS}
    for entry in entries:
        lists[entry.kind][index_name(entry.id)] = {**entry.values, "configId": UInt32(entry.id)}
    expected: dict[str, Variant] = {**lists, "serverVersion": root["serverVersion"], "version": UInt32(26)}
    assert written_of(*entries) == write_variant({**expected, "checksum": checksum(expected)})


@pytest.mark.parametrize("layout", [25, 26, 27])
def test_files_of_other_releases_are_read(layout: int) -> None:
    """I can move here from any later release of the original, with my jobs."""
    stored = Array({index_name(7): {**LOBBY.values, "configId": UInt32(7)}})
    root = {key: value for key, value in root_of(of_the_original(layout, pull=stored)).items() if layout > 25 or key != "webrtc"}
    content = write_variant({**root, "checksum": checksum(root)})
    setup = read_setup(content)
    assert (setup.entries, setup.doubts) == ((LOBBY,), ())


def test_a_file_edited_by_hand_keeps_its_jobs() -> None:
    """A wrong checksum costs me no job; I am told."""
    edited = written_of(LOBBY, RELAY).replace(b">lobby<", b">hall<")
    setup = read_setup(edited)
    assert [entry.values["localStreamName"] for entry in setup.entries] == ["hall", "hall"]
    assert [doubt for doubt in setup.doubts if "checksum" in doubt] == [*setup.doubts]
    assert len(setup.doubts) == 1


def test_what_cannot_be_understood_is_told_and_the_rest_is_taken() -> None:
    """One strange entry costs no other; a file of the future is read as far as it goes."""
    lists: dict[str, Variant] = {
        "pull": Array({"x": "no entry", index_name(9): {"uri": "rtmp://192.0.2.1/a/b"}, "y": {"configId": UInt32(0)}}),
        "push": "no list",
        "drone": Array(),
    }
    setup = read_setup(of_the_original(99, **lists))
    assert [(entry.kind, entry.id) for entry in setup.entries] == [("pull", 9), ("pull", 0)]
    for word in ("layout 99", "push is no list", "pull.x", "drone"):
        assert any(word in doubt for doubt in setup.doubts), word


@pytest.mark.parametrize(
    "content",
    [b"<MAP", b"jobs: none", b'<?xml version="1.0" ?>\n<STR name="">x</STR>', b'<!DOCTYPE x []><MAP name="" isArray="false" />'],
)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    """A file that is something else is damaged, not empty."""
    with pytest.raises(VariantError):
        read_setup(content)


def test_no_file_is_written_that_cannot_be_read_again() -> None:
    """Too many jobs are refused when they are made, not at the next start."""
    many = [Entry("pull", number, {f"_{index}": "" for index in range(1000)}) for number in range(1, 102)]
    with pytest.raises(VariantError):
        written_of(*many)
