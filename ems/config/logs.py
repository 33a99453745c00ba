"""The sections that say what is written down: log appenders and event sinks."""

from collections.abc import Iterable
from dataclasses import dataclass

from ems.config.keys import Anything, Boolean, Checked, Choice, FilePath, Integer, Pattern, SectionList, Text, TextList, key

OFF = -1
"""The level of an appender that writes nothing."""

FILE_TYPES = ("file", "delayedFile", "json")
"""The types of appender that write files."""

MOST_DETAILED = 6
"""The level of the finest records."""


@dataclass(frozen=True)
class LogAppender(Checked):
    """One place to which the log is written. An appender that cannot be used is skipped with a warning.

    Levels: 0 fatal, 1 error, 2 warning, 3 info, 4 debug, 5 fine, 6 finest; -1 writes nothing.
    """

    name: str = key("name", Text(filled=True), "", "what messages about this appender call it", required=True)
    type: str = key(
        "type",
        Choice(("console", "coloredConsole", *FILE_TYPES)),
        "console",
        "`delayedFile` writes once a second, `json` one object a line",
        required=True,
    )
    level: int = key("level", Integer(OFF, MOST_DETAILED), 3, "records up to this level are written", required=True)
    specific_level: int = key("specificLevel", Integer(0, MOST_DETAILED), 0, "if not 0, only records of exactly this level")
    file_name: str = key("fileName", FilePath(), "", "files: the path, to which `.<pid>.<start in ms>.log` is added")
    new_line_characters: str = key("newLineCharacters", Text(filled=True), "\n", "what ends a record")
    file_history_size: int = key("fileHistorySize", Integer(0), 0, "how many files are kept; 0 is all")
    file_length: int = key("fileLength", Integer(0), 0, "bytes after which a new file is begun; 0 is never")
    single_line: bool = key("singleLine", Boolean(), False, "write line breaks of a message as the two characters `\\n`")
    clear_logs_on_start: bool = key("clearLogsOnStart", Boolean(), False, "delete the older files of this name at start")

    def contradictions(self) -> Iterable[tuple[str, str]]:
        """An appender that writes files needs to know where."""
        if self.type in FILE_TYPES and not self.file_name:
            yield "fileName", f"is missing, and an appender of type {self.type} needs it"


@dataclass(frozen=True)
class EventSink(Checked):
    """One receiver of events. A sink of an unknown type is skipped with a warning."""

    type: str = key("type", Choice(("file", "RPC", "console")), "console", "what kind of receiver", required=True)
    custom_data: object = key("customData", Anything(), None, "attached to each event, in place of the logger's")
    enabled_events: tuple[str, ...] | None = key(
        "enabledEvents", TextList(), None, "the events that are sent; missing is all but a few"
    )
    url: str = key(
        "url", Pattern(r"(?i:https?)://[^\s/]\S*", "an http:// or https:// address"), "", "RPC: where events are posted"
    )
    serializer_type: str = key("serializerType", Choice(("JSON", "XML", "XMLRPC")), "JSON", "RPC: how an event is written")
    secret: str = key("secret", Text(), "", "RPC: what events are signed with, see [events.md](events.md#who-is-calling)")
    filename: str = key("filename", FilePath(), "", "file: the path; a folder (ending in `/`) gets `events.log`")
    format: str = key("format", Text(), "text", "file: `text`, `xml`, `json` or `w3c`; anything else is `text`")
    timestamp: bool = key("timestamp", Boolean(), False, "file: write the local time of each event")
    append_timestamp: bool = key("appendTimestamp", Boolean(), True, "file: add the time at which it was begun to the name")
    append_instance: bool = key("appendInstance", Boolean(), False, "file: add a random number of the process to the name")
    file_chunk_length: int = key("fileChunkLength", Integer(0), 0, "file: seconds after which a new part is begun; 0 is never")
    file_chunk_time: str = key(
        "fileChunkTime",
        Pattern(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?", 'a time of day, "HH:MM" or "HH:MM:SS"'),
        "",
        "file: the time of day at which a new part is begun",
    )

    def contradictions(self) -> Iterable[tuple[str, str]]:
        """A sink needs to know where its events go."""
        if self.type == "RPC" and not self.url:
            yield "url", "is missing, and a sink of type RPC needs it"
        if self.type == "file" and not self.filename:
            yield "filename", "is missing, and a sink of type file needs it"


@dataclass(frozen=True)
class EventLogger:
    """Where events go."""

    custom_data: object = key("customData", Anything(), None, "attached to each event")
    sinks: tuple[EventSink, ...] = key("sinks", SectionList(EventSink, ("type",)), (), "the receivers")
