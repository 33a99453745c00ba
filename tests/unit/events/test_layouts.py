"""The entries of event files, letter by letter."""

import json
from typing import Any

import pytest

from ems.events.layouts import JsonLayout, TextLayout, W3cLayout, XmlLayout, make_layout
from tests.unit.events.samples import STREAM, event, segment

STAMP = "2024-May-06 14:53:44"


def test_text_is_for_people() -> None:
    """A numbered head, a line for each value, deeper ones indented by tabs, nulls left out, an empty line."""
    happened = event("recordChunkClosed", file="/r/a.mp4", frameCount=3, _tags=["x", "y"], deep={"on": True, "none": None})
    assert TextLayout().entry(happened.envelope({"site": "lab"}), 0, STAMP).decode() == (
        f"00001\trecordChunkClosed\t{STAMP}\n"
        "\tPID: 4021\n"
        "\t_tags:\n"
        "\t\t0: x\n"
        "\t\t1: y\n"
        "\tcustomData:\n"
        "\t\tsite: lab\n"
        "\tdeep:\n"
        "\t\ton: true\n"
        "\tfile: /r/a.mp4\n"
        "\tframeCount: 3\n"
        "\n"
    )
    assert TextLayout().entry(happened.envelope(), 99999, "").startswith(b"100000\trecordChunkClosed\n\tPID: 4021\n")


def test_a_text_entry_cannot_be_forged() -> None:
    """A name with line breaks stays in its line."""
    nasty: dict[str, Any] = {"na\nme": "a\n\n00002\tinStreamClosed\x1b"}
    entry = TextLayout().entry(event("inStreamCreated", **nasty).envelope(), 0, "")
    assert "\tna\\x0ame: a\\x0a\\x0a00002\\x09inStreamClosed\\x1b\n" in entry.decode()
    assert entry.count(b"\n") == 4


def test_json_entries_end_with_a_comma() -> None:
    """Each is the envelope with its number, from 0; the local time takes the place of the seconds."""
    entry = JsonLayout().entry(segment(), 0, "").decode()
    assert entry.endswith("},\n")
    told = json.loads(entry.removesuffix(",\n"))
    assert (told["_logEntry"], told["timestamp"], told["type"]) == ("00000", 1715000024, "hlsChunkClosed")
    assert json.loads(JsonLayout().entry(segment(), 1, STAMP).removesuffix(b",\n"))["timestamp"] == STAMP


def test_xml_entries_are_lines() -> None:
    """Each is the envelope as variant XML without a declaration, with its number."""
    entry = XmlLayout().entry(event("timerClosed", 3, timerId=2).envelope(), 12, STAMP).decode()
    assert entry == (
        '<MAP isArray="false" name=""><STR name="_logEntry">00012</STR><UINT64 name="id">3</UINT64>'
        '<MAP isArray="false" name="payload"><UINT32 name="PID">4021</UINT32><NULL name="customData" />'
        '<UINT32 name="timerId">2</UINT32></MAP><UINT32 name="processId">4021</UINT32>'
        f'<STR name="timestamp">{STAMP}</STR><STR name="type">timerClosed</STR></MAP>\n'
    )


FIELDS = """
timestamp processId INFO name applicationName creationTimestamp type typeNumeric uniqueId upTime queryTimestamp
bandwidth connectionType farIp farPort IP nearIP nearPort port swf-url audio-bytes audio-codec audio-codecNumeric
audio-droppedBytes audio-droppedPackets audio-packets video-bytes video-codec video-codecNumeric video-droppedBytes
video-droppedPackets video-packets pullSettings-audioCodecBytes pullSettings-configId pullSettings-emulateUserAgent
pullSettings-forceTcp pullSettings-httpProxy pullSettings-isAudio pullSettings-keepAlive pullSettings-localStreamName
pullSettings-operationType pullSettings-pageUrl pullSettings-ppsBytes pullSettings-rangeEnd pullSettings-rangeStart
pullSettings-rtcpDetectionInterval pullSettings-sendRenewStream pullSettings-spsBytes pullSettings-ssmIp
pullSettings-swfUrl pullSettings-tcUrl pullSettings-tos pullSettings-ttl pullSettings-uri recordSettings-chunkLength
recordSettings-computedPathToFile recordSettings-configId recordSettings-keepAlive recordSettings-localStreamName
recordSettings-mp4BinPath recordSettings-operationType recordSettings-overwrite recordSettings-pathToFile
recordSettings-type recordSettings-waitForIDR recordSettings-winQtCompat ews-startTime ews-stopTime ews-elapsed
ews-clientIP ews-sessionId ews-playlist ews-mediaFile
"""
"""The columns in the documents' order."""

COLUMNS = FIELDS.split()


def test_w3c_header() -> None:
    """Version, date, software, and the columns in the documents' order; the first one only with `timestamp`."""
    lines = W3cLayout(timestamp=True).header("EMS 1", STAMP).decode().split("\n")
    assert lines[:3] == ["#Version: 1.0", f"#Start-Date: {STAMP}", "#Software: EMS 1"]
    assert lines[3].removeprefix("#Fields: ").split("\t") == COLUMNS
    assert lines[4:] == [""]
    fields = W3cLayout(timestamp=False).header("EMS 1", STAMP).decode().split("\n")[3]
    assert fields.removeprefix("#Fields: ").split("\t") == COLUMNS[1:]
    assert W3cLayout(timestamp=True).footer() == b"# ======= End of file ========\n"


def test_w3c_row_of_a_stream() -> None:
    """Every column has its value or a dash, and no value can make a column or a row."""
    entry = W3cLayout(timestamp=True).entry(event("inStreamCreated", **STREAM).envelope(), 0, STAMP).decode()
    row = dict(zip(COLUMNS, entry.removesuffix("\n").split("\t"), strict=True))
    given = {column: value for column, value in row.items() if value != "-"}
    assert given == {
        "timestamp": STAMP,
        "processId": "4021",
        "INFO": "inStreamCreated",
        "name": "cam",
        "applicationName": "evostreamms",
        "creationTimestamp": "1715000000000.5",
        "type": "INR",
        "typeNumeric": "5282249572905648128",
        "uniqueId": "7",
        "upTime": "24000.0",
        "queryTimestamp": "1715000024000.5",
        "bandwidth": "0",
        "connectionType": "1",
        "farIp": "192.0.2.7",
        "farPort": "40000",
        "IP": "192.0.2.1",
        "nearIP": "192.0.2.1",
        "nearPort": "1935",
        "port": "1935",
        "swf-url": "a b\\x0ac",
        "audio-bytes": "1000",
        "audio-codec": "AAAC",
        "audio-codecNumeric": "4702111241970122752",
        "audio-droppedBytes": "0",
        "audio-droppedPackets": "0",
        "audio-packets": "10",
        "video-bytes": "0",
        "video-codec": "VUNK",
        "video-codecNumeric": "6220964544311721984",
        "video-droppedBytes": "0",
        "video-droppedPackets": "0",
        "video-packets": "0",
        "pullSettings-configId": "3",
        "pullSettings-forceTcp": "false",
        "pullSettings-uri": "rtmp://192.0.2.7/live/cam",
    }


def test_w3c_rows_of_other_events() -> None:
    """A feed that stopped tells its stream, a download its file; what is no row is left out."""
    layout = W3cLayout(timestamp=False)
    stopped = layout.entry(event("videoFeedStopped", id=7, localStreamName="cam").envelope(), 0, "").decode().split("\t")
    assert (stopped[2], stopped[7]) == ("cam", "7")
    download = event("mediaFileDownloaded", clientIP="192.0.2.9", mediaFile="a.mp4", elapsed=3).envelope()
    assert layout.entry(download, 0, "").decode().endswith("\t-\t-\t3\t192.0.2.9\t-\t-\ta.mp4\n")
    assert layout.entry(segment(), 0, "") == b""


@pytest.mark.parametrize(
    ("name", "layout"), [("json", JsonLayout), ("XML", XmlLayout), ("w3c", W3cLayout), ("text", TextLayout), ("csv", TextLayout)]
)
def test_unknown_formats_are_text(name: str, layout: type) -> None:
    """The four words in any case; any other acts as text."""
    assert type(make_layout(name, timestamp=False)) is layout
