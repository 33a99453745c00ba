"""The seven levels of the log, and which of them a Twisted log event has.

Twisted knows five levels. The two finer ones are debug events that carry their level themselves::

    log.debug("chunk of {size} bytes", size=size, ems_level=FINEST)
"""

from collections.abc import Mapping
from typing import Any

from twisted.logger import LogLevel

OFF = -1
"""The level of an appender that writes nothing."""

FATAL, ERROR, WARNING, INFO, DEBUG, FINE, FINEST = range(7)

NAMES = ("FATAL", "ERROR", "WARNING", "INFO", "DEBUG", "FINE", "FINEST")
"""The levels by their numbers."""

EVENT_KEY = "ems_level"
"""The key of an event that gives its level as a number, in place of Twisted's."""

_OF_TWISTED = {
    LogLevel.critical: FATAL,
    LogLevel.error: ERROR,
    LogLevel.warn: WARNING,
    LogLevel.info: INFO,
    LogLevel.debug: DEBUG,
}


TWISTED_CHATTER = ("twisted", "log_legacy", "-")
"""First parts of the namespaces of Twisted's own events, which tell of each port and factory."""

PLUGINS = "twisted.plugins."
"""How the namespaces of plugins begin, which are not Twisted's own."""


def level_of(event: Mapping[str, Any]) -> int:
    """Return the level of a Twisted log event, 0 (fatal) to 6 (finest); one without a level counts as info.

    What Twisted itself says at info level is debug to the operator of a media server.
    """
    level = event.get(EVENT_KEY)
    if type(level) is int and FATAL <= level <= FINEST:
        return level
    known = _OF_TWISTED.get(event.get("log_level"), INFO)
    if known == INFO:
        namespace = str(event.get("log_namespace", ""))
        if namespace.partition(".")[0] in TWISTED_CHATTER and not namespace.startswith(PLUGINS):
            return DEBUG
    return known
