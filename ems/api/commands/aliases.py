"""Commands that give streams and groups other names."""

from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import CommandGroup, Json, integer, text
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.server import Server

ALIASES = CommandGroup("aliases", "Aliases", "Other names for streams, which viewers use, and for groups of HTTP streaming.")

ALIAS_PERIOD_MAX = 86401
"""Seconds: a day and a second."""


@ALIASES.command(
    "addStreamAlias",
    "Gives a stream another name. With hasStreamAliases in the configuration, viewers can use no others.",
    text("localStreamName", "The stream's name; it need not be there yet.", mandatory=True),
    text("aliasName", "The name for viewers.", mandatory=True),
    integer(
        "expirePeriod",
        "Seconds that the name holds: for one viewer when negative, for any number when positive; 0 is for ever.",
        default=-600,
        minimum=-ALIAS_PERIOD_MAX,
        maximum=ALIAS_PERIOD_MAX,
    ),
    answer="Alias applied",
    data="`aliasName`, `localStreamName`, `expirePeriod`",
    example="addStreamAlias localStreamName=lobby aliasName=t1 expirePeriod=-300",
    ascii_fields="aliasName localStreamName expirePeriod",
    rejects_empty_parameter_list=True,
)
async def add_stream_alias(server: "Server", arguments: Arguments) -> Json:
    name, stream_name = arguments.text("aliasName"), arguments.text("localStreamName")
    period = arguments.integer("expirePeriod")
    if not server.aliases.enabled:
        raise CommandError("Unable to set stream alias")
    try:
        server.aliases.add(name, stream_name, period)
    except CommandError as error:
        raise CommandError(f"Unable to set stream alias: {error}") from error
    return {"aliasName": name, "localStreamName": stream_name, "expirePeriod": period}


@ALIASES.command(
    "listStreamAliases",
    "Lists the aliases of streams.",
    answer="Currently available aliases",
    data="a list of objects with `aliasName`, `localStreamName`, `creationTime`, `expirePeriod`, `oneShot`, `permanent`",
    ascii_fields="aliasName localStreamName expirePeriod oneShot permanent",
)
async def list_stream_aliases(server: "Server", arguments: Arguments) -> Json:
    return [
        {
            "aliasName": alias.name,
            "localStreamName": alias.stream_name,
            "creationTime": int(alias.created),
            "expirePeriod": alias.period,
            "oneShot": alias.one_shot,
            "permanent": alias.permanent,
        }
        for alias in server.aliases
    ]


@ALIASES.command(
    "removeStreamAlias",
    "Takes one alias back.",
    text("aliasName", "The alias.", mandatory=True),
    answer="Alias removed",
    data="`aliasName`",
    example="removeStreamAlias aliasName=t1",
    ascii_fields="aliasName localStreamName",
    rejects_empty_parameter_list=True,
)
async def remove_stream_alias(server: "Server", arguments: Arguments) -> Json:
    name = arguments.text("aliasName")
    if not server.aliases.enabled:
        raise CommandError("Unable to remove stream alias")
    try:
        server.aliases.remove(name)
    except CommandError as error:
        raise CommandError(f"Unable to remove stream alias: {error}") from error
    return {"aliasName": name}


@ALIASES.command(
    "flushStreamAliases",
    "Takes all aliases of streams back.",
    answer="All aliases are flushed",
    ascii_fields="aliasName",
)
async def flush_stream_aliases(server: "Server", arguments: Arguments) -> None:
    server.aliases.clear()


ALIASES.command(
    "addGroupNameAlias",
    "Gives a group of HTTP streaming another name.",
    text("groupName", "The group.", mandatory=True),
    text("aliasName", "The name for players.", mandatory=True),
    answer="Alias applied to group name",
    data="`aliasName` and `groupName`",
    example="addGroupNameAlias groupName=show aliasName=tonight",
    ascii_fields="aliasName groupName",
    rejects_empty_parameter_list=True,
)

ALIASES.command(
    "getGroupNameByAlias",
    "Tells the group behind an alias.",
    text("aliasName", "The alias.", mandatory=True),
    answer="Group name",
    data="`aliasName` and `groupName`",
    example="getGroupNameByAlias aliasName=tonight",
    ascii_fields="aliasName groupName",
    rejects_empty_parameter_list=True,
)

ALIASES.command(
    "removeGroupNameAlias",
    "Takes one alias of a group back.",
    text("aliasName", "The alias.", mandatory=True),
    answer="Group name alias removed",
    data="`aliasName`",
    example="removeGroupNameAlias aliasName=tonight",
    also_accept=("removeGroupNameAliases",),
    ascii_fields="aliasName",
    rejects_empty_parameter_list=True,
)

ALIASES.command(
    "listGroupNameAliases",
    "Lists the aliases of groups.",
    answer="Currently available group name aliases",
    data="a list of objects with `aliasName` and `groupName`",
    ascii_fields="aliasName groupName",
)

ALIASES.command(
    "flushGroupNameAliases",
    "Takes all aliases of groups back.",
    answer="All group name aliases are flushed",
)
