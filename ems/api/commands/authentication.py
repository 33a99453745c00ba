"""The switch of RTMP authentication."""

from ems.api.command import CommandGroup, flag

AUTHENTICATION = CommandGroup("authentication", "Authentication", "Who may publish and play.")

AUTHENTICATION.command(
    "setAuthentication",
    "Turns authentication of RTMP publishers and players on or off. The switch outlives a restart.",
    flag("enabled", None, "1 is on, 0 is off.", mandatory=True),
    answer="Authentication mode updated",
    data="`enabled`",
    example="setAuthentication enabled=1",
    ascii_fields="enabled",
    rejects_empty_parameter_list=True,
)
