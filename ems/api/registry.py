"""The commands of a server, and the one way by which every door has them carried out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from ems.api.arguments import Arguments, bind
from ems.api.command import Answer, Command
from ems.api.reply import Reply, Status, failure, reply_object
from ems.api.request import Request
from ems.errors import CommandError
from ems.events.concealment import concealed
from ems.interfaces import ICommandGroup

if TYPE_CHECKING:
    from ems.server import Server

MAX_ECHOED_NAME = 200
"""Characters of an unknown command's name that the reply repeats."""


class CommandRegistry:
    """All commands by name, whatever the case, and by the other names that they accept."""

    log = Logger()

    def __init__(self, groups: Iterable[ICommandGroup]) -> None:
        """`groups` are the built-in ones and those of plugins. ValueError when two commands claim one name."""
        self._commands: list[Command] = []
        self._by_name: dict[str, Command] = {}
        for group in groups:
            for command in group.commands():
                self._add(command)

    def _add(self, command: Command) -> None:
        self._commands.append(command)
        for name in {name.lower() for name in (command.name, *command.also_accept)}:
            if name in self._by_name:
                raise ValueError(f"{command.name} and {self._by_name[name].name} both claim the name {name}")
            self._by_name[name] = command

    def __iter__(self) -> Iterator[Command]:
        """The commands in the order of their declarations."""
        return iter(self._commands)

    def find(self, name: str) -> Command | None:
        """The command of that name, in any case, or None."""
        return self._by_name.get(name.lower())

    async def execute(self, server: "Server", request: Request) -> Reply:
        """Carry the request out. Never raises: what goes wrong is told in the reply, and in the log when it is our mistake."""
        server.events.emit("cliRequest", lambda: _describe_request(request))
        reply = replace(await self._execute(server, request), response_id=request.command_id)
        if not reply.silent:
            server.events.emit("cliResponse", lambda: concealed(reply_object(reply)))
        return reply

    async def _execute(self, server: "Server", request: Request) -> Reply:
        command = self.find(request.command)
        if command is None:
            name = request.command.lower()[:MAX_ECHOED_NAME]
            return failure(f"command {name} not known. Type help for list of commands", "", HTTPStatus.NOT_FOUND)
        try:
            arguments = bind(command, request, self)
            for remark in arguments.remarks:
                self.log.warn("{remark}", remark=remark)
            return await self._run(command, server, arguments)
        except CommandError as error:
            return failure(str(error))
        except Exception:
            self.log.failure("{command} failed because of a mistake in the server", command=command.name)
            return failure("internal error", "", HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _run(self, command: Command, server: "Server", arguments: Arguments) -> Reply:
        if command.run is None:
            raise CommandError("not implemented in this version")
        result = await command.run(server, arguments)
        answer = result if isinstance(result, Answer) else Answer(result)
        return Reply(
            Status.SUCCESS,
            command.answer.format_map(arguments.values) if answer.description is None else answer.description,
            answer.data,
            ascii_fields=command.ascii_fields,
            closes=answer.closes,
            silent=answer.silent,
            raw=answer.raw,
        )


def _describe_request(request: Request) -> dict[str, Any]:
    """The payload of cliRequest: the command as it came, without passwords."""
    return {"command": request.command[:MAX_ECHOED_NAME], "parameters": concealed(request.parameters) or None}
