"""Commands that give streams and groups other names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import CommandGroup, Json, integer, text
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.server import Server
    from ems.web.aliases import GroupAliases

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


@ALIASES.command(
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
async def add_group_name_alias(server: "Server", arguments: Arguments) -> Json:
    name, group = arguments.text("aliasName"), arguments.text("groupName")
    with _telling("Unable to set group name alias"):
        _group_aliases(server).add(name, group)
    return {"aliasName": name, "groupName": group}


@ALIASES.command(
    "getGroupNameByAlias",
    "Tells the group behind an alias.",
    text("aliasName", "The alias.", mandatory=True),
    answer="Group name",
    data="`aliasName` and `groupName`",
    example="getGroupNameByAlias aliasName=tonight",
    ascii_fields="aliasName groupName",
    rejects_empty_parameter_list=True,
)
async def get_group_name_by_alias(server: "Server", arguments: Arguments) -> Json:
    name = arguments.text("aliasName")
    with _telling("Unable to get group name"):
        alias = _group_aliases(server).get(name)
        if alias is None:
            raise CommandError(f"{name} is not an alias")
    return {"aliasName": name, "groupName": alias.group}


@ALIASES.command(
    "removeGroupNameAlias",
    "Takes one alias of a group back.",
    text("aliasName", "The alias.", mandatory=True),
    answer="Group name alias removed",
    data="`aliasName` and `groupName`",
    example="removeGroupNameAlias aliasName=tonight",
    also_accept=("removeGroupNameAliases",),
    ascii_fields="aliasName",
    rejects_empty_parameter_list=True,
)
async def remove_group_name_alias(server: "Server", arguments: Arguments) -> Json:
    name = arguments.text("aliasName")
    with _telling("Unable to remove group name alias"):
        alias = _group_aliases(server).remove(name)
    return {"aliasName": name, "groupName": alias.group}


@ALIASES.command(
    "listGroupNameAliases",
    "Lists the aliases of groups.",
    answer="Currently available group name aliases",
    data="a list of objects with `aliasName` and `groupName`",
    ascii_fields="aliasName groupName",
)
async def list_group_name_aliases(server: "Server", arguments: Arguments) -> Json:
    with _telling("Unable to get all group name aliases"):
        return [{"aliasName": alias.name, "groupName": alias.group} for alias in _group_aliases(server)]


@ALIASES.command(
    "flushGroupNameAliases",
    "Takes all aliases of groups back.",
    answer="All group name aliases are flushed",
)
async def flush_group_name_aliases(server: "Server", arguments: Arguments) -> None:
    with _telling("Unable to flush all group name aliases"):
        _group_aliases(server).clear()


def _group_aliases(server: "Server") -> "GroupAliases":
    """The aliases of groups. Raises `CommandError` when they are off."""
    if server.web is None or not server.web.aliases.enabled:
        raise CommandError("Check if group name aliasing is enabled.")
    return server.web.aliases


@contextmanager
def _telling(failure: str) -> Iterator[None]:
    """Put what could not be done before the reason why."""
    try:
        yield
    except CommandError as error:
        raise CommandError(f"{failure}. {error}") from error
