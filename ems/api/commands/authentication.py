"""The switch of RTMP authentication."""

from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import CommandGroup, Json, flag

if TYPE_CHECKING:
    from ems.server import Server

AUTHENTICATION = CommandGroup("authentication", "Authentication", "Who may publish and play.")


@AUTHENTICATION.command(
    "setAuthentication",
    "Turns authentication over RTMP on or off, for publishers and, if the configuration says so, players. It outlives a restart.",
    flag("enabled", None, "1 is on, 0 is off.", mandatory=True),
    answer="Authentication mode updated",
    data="`enabled`",
    example="setAuthentication enabled=1",
    ascii_fields="enabled",
    rejects_empty_parameter_list=True,
)
async def set_authentication(server: "Server", arguments: Arguments) -> Json:
    enabled = arguments.flag("enabled")
    await server.rtmp_gate.switch(enabled)
    return {"enabled": enabled}
