"""Everything worth knowing that happens in the server, as values, and who is told of it.

Whoever sees something happen calls `emit` of the `EventBus` (`ems.events.bus`), ``server.events``. What it says becomes an
`Event` (`ems.events.event`) and goes to everybody who has subscribed: parts of the server, plugins (`IEventSink`), and the
sinks of the configuration (`ems.events.sinks`), which write files (`ems.events.files`) or post to web servers
(`ems.events.rpc`).
"""

from ems.events.bus import EventBus
from ems.events.event import Event

__all__ = ["Event", "EventBus"]
