"""Transport streams in the words of the model and of the runtime API: pure functions and values."""

from typing import Any

from ems.formats.mpegts.demux import Statistics
from ems.formats.mpegts.events import ProgramFound
from ems.media.track import Codec, Kind, Track
from ems.protocols.mpegts.wire import PacketReader

UNTOUCHED = Track(0, Kind.DATA, Codec.TS)
"""The only track of a stream that comes in untouched: its frames are transport packets, as many as came together."""

SUFFIX = "_ts"
"""What the name of a stream that comes in untouched ends with."""


def untouched_name(name: str) -> str:
    """The name under which the packets of a source appear that was asked for by this name."""
    return name if name.endswith(SUFFIX) else name + SUFFIX


def parsed_report(statistics: Statistics, program: ProgramFound | None) -> dict[str, Any]:
    """What is told of a stream that is parsed: what was wrong, and what its program has, readable or not."""
    streams = program.streams if program is not None else ()
    return {
        "continuityErrors": statistics.continuity_errors,
        "duplicates": statistics.duplicates,
        "lostSyncs": statistics.lost_syncs,
        "malformed": statistics.malformed,
        "scrambled": statistics.scrambled,
        "transportErrors": statistics.transport_errors,
        "programNumber": program.program_number if program is not None else 0,
        "streams": [{"pid": one.pid, "streamType": one.stream_type, "language": one.language} for one in streams],
    }


def untouched_report(reader: PacketReader) -> dict[str, Any]:
    """What is told of a stream that comes in untouched."""
    return {
        "packets": reader.packets,
        "continuityErrors": reader.continuity_errors,
        "duplicates": reader.duplicates,
        "lostSyncs": reader.lost_syncs,
        "scrambled": reader.scrambled,
        "transportErrors": reader.transport_errors,
    }


def unreadable(program: ProgramFound) -> str:
    """What a program consists of that never became a stream, in words."""
    listed = ", ".join(f"PID {one.pid} has type 0x{one.stream_type:02X}" for one in program.streams)
    return f"nothing in program {program.program_number} that could be played: {listed or 'it is empty'}"
