"""What a command of the runtime API is, as one declaration.

A command is declared once, beside the coroutine that carries it out, in a module of `ems.api.commands`::

    STREAMS = CommandGroup("streams", "Streams", "What is live, and how to look at it and end it.")

    @STREAMS.command(
        "isStreamRunning",
        "Tells whether a stream is live.",
        integer("id", "Unique id of the stream.", minimum=0),
        text("localStreamName", "Name of the stream."),
        answer="Stream status:",
    )
    async def is_stream_running(server: Server, arguments: Arguments) -> Json:
        ...

Everything else is made from that: parsing and validation (`ems.api.arguments`), the answer of ``help``, the pages in
``docs/api`` (`ems.api.reference`) and the OpenAPI document of the HTTP door (`ems.api.openapi`). A declaration that
decorates no coroutine is a command which checks its parameters and then says that this version does not have it.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from zope.interface import implementer

from ems.interfaces import ICommandGroup

if TYPE_CHECKING:
    from ems.api.arguments import Arguments
    from ems.server import Server

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | list[str] | list[int] | None
"""A parameter after validation. None is an optional one that was not given and whose default is made later."""

Json: TypeAlias = "Scalar | list[Json] | dict[str, Json] | None"
"""What a reply carries as data."""

UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1


class Type(str, Enum):
    """The types of parameters, named as in the reference."""

    STRING = "string"
    INT = "int"
    BOOL = "bool"
    FLOAT = "float"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a command.

    `minimum` and `maximum` are inclusive and belong to numbers; `values` are all that a string may be, compared without
    case, and `values_error` is the failure's text where clients know another than the usual one. `multiple` makes it a
    comma list. `default_text` tells in words a default that is made when the command runs; its value is then None.
    """

    name: str
    type: Type
    description: str
    mandatory: bool = False
    default: Value = None
    default_text: str = ""
    minimum: int | None = None
    maximum: int | None = None
    values: tuple[str, ...] = ()
    values_error: str = ""
    multiple: bool = False
    also_accept: tuple[str, ...] = ()

    @property
    def default_shown(self) -> Value:
        """The default as ``help`` shows it: words where it is made later, 0 and 1 for booleans, None when mandatory."""
        if self.mandatory:
            return None
        if self.default_text:
            return self.default_text
        if isinstance(self.default, bool):
            return int(self.default)
        return NO_DEFAULT if self.default is None else self.default


NO_DEFAULT = "-No default value-"
"""What ``help`` says of an optional parameter that has no default."""

COMMAND_ID = Parameter(
    name="commandId",
    type=Type.STRING,
    description="Any text; the reply carries it as responseId, so that replies can be told apart on one connection.",
)
"""The parameter that every command takes."""


def text(
    name: str,
    description: str,
    *,
    mandatory: bool = False,
    default: str = "",
    default_text: str = "",
    values: tuple[str, ...] = (),
    values_error: str = "",
    also_accept: tuple[str, ...] = (),
) -> Parameter:
    """A string. An optional one that is left out is `default`, or None when `default_text` says how it is made."""
    return Parameter(
        name=name,
        type=Type.STRING,
        description=description,
        mandatory=mandatory,
        default=None if mandatory or default_text else default,
        default_text=default_text,
        values=values,
        values_error=values_error,
        also_accept=also_accept,
    )


def integer(
    name: str,
    description: str,
    *,
    mandatory: bool = False,
    default: int | None = None,
    default_text: str = "",
    minimum: int | None = None,
    maximum: int | None = None,
    also_accept: tuple[str, ...] = (),
) -> Parameter:
    """A whole number within `minimum` and `maximum`, both included."""
    return Parameter(
        name=name,
        type=Type.INT,
        description=description,
        mandatory=mandatory,
        default=default,
        default_text=default_text,
        minimum=minimum,
        maximum=maximum,
        also_accept=also_accept,
    )


def flag(
    name: str, default: bool | None, description: str, *, mandatory: bool = False, also_accept: tuple[str, ...] = ()
) -> Parameter:
    """A boolean; a mandatory one has None for its default."""
    return Parameter(
        name=name, type=Type.BOOL, description=description, mandatory=mandatory, default=default, also_accept=also_accept
    )


def texts(name: str, description: str, *, mandatory: bool = False, default_text: str = "") -> Parameter:
    """A comma list of strings; an optional one that is left out is empty, or None when `default_text` says how it is made."""
    default: list[str] | None = None if mandatory or default_text else []
    return Parameter(
        name=name,
        type=Type.STRING,
        description=description,
        mandatory=mandatory,
        default=default,
        default_text=default_text,
        multiple=True,
    )


def integers(name: str, description: str, *, default_text: str = "") -> Parameter:
    """An optional comma list of whole numbers."""
    default: list[int] | None = None if default_text else []
    return Parameter(name=name, type=Type.INT, description=description, default=default, default_text=default_text, multiple=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says when its declared answer and plain data are not enough.

    `description` replaces the declared answer. `closes` ends the caller's connection after the reply; `silent` ends it
    instead of the reply. `raw` is sent as it is, without a reply around it.
    """

    data: Json = None
    description: str | None = None
    closes: bool = False
    silent: bool = False
    raw: str | None = None


Run: TypeAlias = "Callable[[Server, Arguments], Awaitable[Json | Answer]]"
"""A command's coroutine. It raises `ems.errors.CommandError` with the text that the caller is to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: everything that the server, ``help`` and the reference know of it.

    `answer` is the description of a successful reply; ``{name}`` in it stands for the value of a parameter. `data` says in
    words what the reply carries. `ascii_fields` are the keys that the ASCII door shows, all when empty. `user_variables`
    keeps parameters whose names begin with ``_``, `environment` those with ``$``. `keeps_empty_elements` is for lists whose
    positions matter. `example` is a complete request. `run` is None for a command that this version does not have.
    """

    name: str
    group: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    answer: str = ""
    data: str = ""
    example: str = ""
    deprecated: bool = False
    also_accept: tuple[str, ...] = ()
    ascii_fields: tuple[str, ...] = ()
    rejects_empty_parameter_list: bool = False
    user_variables: bool = False
    environment: bool = False
    keeps_empty_elements: bool = False
    run: "Run | None" = None

    @property
    def implemented(self) -> bool:
        """True when this version can carry the command out."""
        return self.run is not None


@implementer(ICommandGroup)
class CommandGroup:
    """Commands that belong together: a module of declarations and a page of the reference."""

    def __init__(self, name: str, title: str, summary: str) -> None:
        self.name = name
        self.title = title
        self.summary = summary
        self._commands: dict[str, Command] = {}

    def commands(self) -> Iterable[Command]:
        """The declarations, in the order in which they were made (`ICommandGroup`)."""
        return tuple(self._commands.values())

    def command(
        self,
        name: str,
        summary: str,
        *parameters: Parameter,
        answer: str,
        data: str = "",
        example: str = "",
        deprecated: bool = False,
        also_accept: tuple[str, ...] = (),
        ascii_fields: str = "",
        rejects_empty_parameter_list: bool = False,
        user_variables: bool = False,
        environment: bool = False,
        keeps_empty_elements: bool = False,
    ) -> Callable[[Run], Run]:
        """Declare a command, by the fields of `Command`, and return the decorator of the coroutine that carries it out.

        Where nothing is decorated this version does not have the command.
        """

        declared = Command(
            name=name,
            group=self.name,
            summary=summary,
            parameters=parameters,
            answer=answer,
            data=data,
            example=example or name,
            deprecated=deprecated,
            also_accept=also_accept,
            ascii_fields=tuple(ascii_fields.split()),
            rejects_empty_parameter_list=rejects_empty_parameter_list,
            user_variables=user_variables,
            environment=environment,
            keeps_empty_elements=keeps_empty_elements,
        )
        self._commands[name] = declared

        def carry_out_with(run: Run) -> Run:
            self._commands[name] = replace(declared, run=run)
            return run

        return carry_out_with
