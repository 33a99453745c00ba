"""Commands about the server itself."""

import secrets
import socket
import string
from dataclasses import fields
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ems.api.arguments import Arguments, invalid
from ems.api.command import COMMAND_ID, Answer, Command, CommandGroup, Json, Parameter, integer, text
from ems.api.commands.streams import all_streams
from ems.api.describe import describe_service
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.server import Server

UTILITY = CommandGroup("utility", "Utility", "The server itself: what it is, what it logs, how it stops.")

SHUTDOWN_KEY_SIZE = 16
_KEY_CHARACTERS = string.ascii_letters + string.digits
_shutdown_keys: "WeakKeyDictionary[Server, str]" = WeakKeyDictionary()

VERSION_KEYS = {
    "banner": "banner",
    "branch_name": "branchName",
    "build_date": "buildDate",
    "build_number": "buildNumber",
    "code_name": "codeName",
    "hash": "hash",
    "release_number": "releaseNumber",
}
"""The fields of `ems.version.Version` by their names in replies."""


@UTILITY.command(
    "version",
    "Tells what server this is.",
    answer="Version",
    data="`banner`, `branchName`, `buildDate`, `buildNumber`, `codeName`, `hash`, `releaseNumber`",
    ascii_fields="releaseNumber banner buildDate buildNumber codeName",
)
async def version(server: "Server", arguments: Arguments) -> Json:
    return {**_version(server)}


@UTILITY.command(
    "help",
    "Describes every command and its parameters.",
    answer="Available commands",
    data="a list of objects with `command`, `description`, `deprecated` and `parameters`",
    ascii_fields="command description parameters defaultValue mandatory name",
)
async def describe_commands(server: "Server", arguments: Arguments) -> Json:
    return [_help(command) for command in arguments.registry or ()]


@UTILITY.command("quit", "Closes the connection on which it is asked.", answer="Bye!")
async def leave(server: "Server", arguments: Arguments) -> Answer:
    return Answer(closes=True)


@UTILITY.command(
    "getServerInfo",
    "Tells version, open ports and counters in one reply.",
    answer="Server information:",
    data="what `version` answers, and `Server IP`, `acceptors`, `connectionsCount`, `licenseExpiration`, `mediafolder`, "
    "`streamsCount`",
    ascii_fields="licenseExpiration mediafolder releaseNumber buildNumber acceptors ip port protocol",
)
async def get_server_info(server: "Server", arguments: Arguments) -> Json:
    storages = server.config.application.media_storage.storages
    return {
        **_version(server),
        "Server IP": _own_address(),
        "acceptors": [describe_service(acceptor) for _, acceptor in sorted(server.acceptors.services.items())],
        "connectionsCount": sum(1 for _ in server.connections),
        "licenseExpiration": "",
        "mediafolder": storages[0].media_folder if storages else "",
        "streamsCount": sum(1 for _ in all_streams(server)),
    }


@UTILITY.command(
    "setLogLevel",
    "Changes how much all log outputs write, until the server stops.",
    integer(
        "level",
        "0 fatal, 1 error, 2 warning, 3 information, 4 debug, 5 fine, 6 finest; -1 nothing at all.",
        mandatory=True,
        minimum=-1,
        maximum=6,
    ),
    answer="Log level is set",
    example="setLogLevel level=4",
    rejects_empty_parameter_list=True,
)
async def set_log_level(server: "Server", arguments: Arguments) -> None:
    server.log.set_level(arguments.integer("level"))


@UTILITY.command(
    "shutdownServer",
    "Stops the server, in two steps: without a key it answers one; with that key it stops, and there is no reply.",
    text("key", "The key of the first step. Asking again makes a new one."),
    answer="Call shutdownserver again with the provided key",
    data="`key`",
    example="shutdownServer key=Xy3bLq82RtwN5vZa",
    ascii_fields="key",
)
async def shutdown_server(server: "Server", arguments: Arguments) -> "Json | Answer":
    if not arguments.sent:
        key = _shutdown_keys[server] = "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(SHUTDOWN_KEY_SIZE))
        return {"key": key}
    given = arguments.text("key")
    if not given:
        raise invalid("key")
    if not secrets.compare_digest(given.encode("utf-8", "replace"), _shutdown_keys.get(server, "").encode("ascii")):
        raise CommandError("Shutdown key provided is invalid")
    server.shut_down("shutdownServer")
    return Answer(description="The server stops", silent=True)


UTILITY.command(
    "uploadMedia",
    "Opens a port that takes files by HTTP POST, one a request, up to the next restart.",
    integer("port", "Port to listen on, on all addresses.", mandatory=True, minimum=1, maximum=65535),
    text("targetFolder", "Folder for the files.", mandatory=True),
    answer="Media upload acceptor configuration.",
    data="`ip`, `port` and `targetFolder`",
    example="uploadMedia port=8100 targetFolder=media/uploads",
    ascii_fields="ip port targetFolder",
)


def _version(server: "Server") -> dict[str, str]:
    return {VERSION_KEYS[field.name]: getattr(server.version, field.name) for field in fields(server.version)}


def _help(command: Command) -> Json:
    return {
        "command": command.name,
        "deprecated": command.deprecated,
        "description": command.summary,
        "parameters": [_help_parameter(parameter) for parameter in command.parameters] + [_help_parameter(COMMAND_ID)],
    }


def _help_parameter(parameter: Parameter) -> Json:
    default = parameter.default_shown
    return {
        "name": parameter.name,
        "mandatory": parameter.mandatory,
        "defaultValue": [*default] if isinstance(default, list) else default,
        "description": parameter.description,
    }


def _own_address() -> str:
    """The address that this machine shows to others; choosing the route to a documentation address sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
