"""The envelope: the object around every metadata text that leaves the server.

::

    {"EMS":{"type":"json","timestamp":46125},"data":{"lat":"32.8","speed":"20"}}

``timestamp`` is the stream's own time in milliseconds, at which a player shows the picture that the metadata belongs to; of
metadata that belongs to no live stream it is the time of day, in milliseconds since 1970.
"""

from typing import Final

from ems.metadata.json_text import Json

KEY: Final = "EMS"

_WHITE_SPACE = " \t\n\r"


def is_wrapped(value: Json) -> bool:
    """True when a value is an envelope already: an object whose first name is ``EMS``. It stays as it is."""
    return isinstance(value, dict) and next(iter(value), None) == KEY


def wrap(text: str, value: Json, timestamp_ms: int) -> str:
    """A JSON text in its envelope, white space around it apart; `value` is what it says."""
    text = text.strip(_WHITE_SPACE)
    if is_wrapped(value):
        return text
    return f'{{"{KEY}":{{"type":"json","timestamp":{timestamp_ms}}},"data":{text}}}'
