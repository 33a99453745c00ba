"""Remote calls of RTMP (Adobe RTMP 1.0 §7.2): command messages read and written, and the status objects of real servers."""

from typing import Any, NamedTuple

from ems.formats import amf0
from ems.protocols.rtmp.chunks import Message
from ems.protocols.rtmp.wire import MessageType

LEVEL_STATUS = "status"
LEVEL_ERROR = "error"


class Command(NamedTuple):
    """A call: its name, its transaction id (0: no answer is expected) and its arguments, the command object first."""

    name: str
    transaction_id: float
    arguments: list[Any]
    stream_id: int

    def argument(self, index: int, default: Any = None) -> Any:
        """An argument by its place behind the command object, which is place 0."""
        return self.arguments[index] if index < len(self.arguments) else default

    def text(self, index: int) -> str:
        """A text argument, empty when it is none."""
        value = self.argument(index)
        return value if isinstance(value, str) else ""

    def number(self, index: int, default: float) -> float:
        """A finite number argument, or the default when it is none."""
        value = self.argument(index)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return default
        return value if abs(value) < 2**53 else default


def read_command(message: Message) -> Command | None:
    """The call in a command message, None when it is none. AMF3 messages begin with a byte to skip.

    Arguments that are damaged, and all that follow them, are left out, as sloppy encoders would have it.
    """
    payload = message.payload[1:] if message.type_id == MessageType.COMMAND_AMF3 else message.payload
    values = amf0.decode_prefix(payload)
    if not values or not isinstance(values[0], str):
        return None
    transaction_id = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
    return Command(values[0], transaction_id, list(values[2:]), message.stream_id)


def call(name: str, transaction_id: float, *arguments: Any, stream_id: int = 0) -> Message:
    """A call to the client, or an answer to one of its calls."""
    return Message(MessageType.COMMAND, stream_id, 0, amf0.encode(name, transaction_id, *arguments))


def result(command: Command, *values: Any) -> Message:
    """The answer to a call that went well."""
    return call("_result", command.transaction_id, *values)


def error(command: Command, code: str, description: str, **more: Any) -> Message:
    """The answer to a call that failed."""
    return call("_error", command.transaction_id, None, info(LEVEL_ERROR, code, description, **more))


def info(level: str, code: str, description: str, **more: Any) -> dict[str, Any]:
    """An information object."""
    return {"level": level, "code": code, "description": description, **more}


def on_status(stream_id: int, level: str, code: str, description: str, **more: Any) -> Message:
    """A status of a stream (§7.2.2)."""
    return call("onStatus", 0, None, info(level, code, description, **more), stream_id=stream_id)


def data(stream_id: int, *values: Any) -> Message:
    """A data message (§7.1.2)."""
    return Message(MessageType.DATA, stream_id, 0, amf0.encode(*values))
