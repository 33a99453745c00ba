"""Commands about ingest points: secret names to publish under."""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from ems.api.arguments import Arguments
from ems.api.command import CommandGroup, Json, text
from ems.errors import CommandError

if TYPE_CHECKING:
    from ems.server import Server

_log = Logger(namespace="ingest-points")

INGEST = CommandGroup("ingest", "Ingest points", "Secret names to publish under, so that the public ones cannot be taken.")


@INGEST.command(
    "createIngestPoint",
    "Maps a secret name to publish under to the name that viewers see. Needs hasIngestPoints in the configuration.",
    text("privateStreamName", "The name to publish under.", mandatory=True),
    text("publicStreamName", "The name that viewers see.", mandatory=True),
    answer="Ingest point created",
    data="`privateStreamName` and `publicStreamName`",
    example="createIngestPoint privateStreamName=k9 publicStreamName=stage",
    ascii_fields="privateStreamName publicStreamName",
    rejects_empty_parameter_list=True,
)
async def create_ingest_point(server: "Server", arguments: Arguments) -> Json:
    private, public = arguments.text("privateStreamName"), arguments.text("publicStreamName")
    try:
        await server.ingest_points.create(private, public)
    except CommandError as error:
        _log.info("no ingest point: {reason}", reason=error)
        raise CommandError(f"Unable to create ingest point `{private}` -> `{public}`") from error
    return {"privateStreamName": private, "publicStreamName": public}


@INGEST.command(
    "removeIngestPoint",
    "Takes an ingest point back.",
    text("privateStreamName", "The name to publish under.", mandatory=True),
    answer="Ingest point removed",
    data="`privateStreamName` and `publicStreamName`",
    example="removeIngestPoint privateStreamName=k9",
    ascii_fields="privateStreamName publicStreamName",
    rejects_empty_parameter_list=True,
)
async def remove_ingest_point(server: "Server", arguments: Arguments) -> Json:
    private = arguments.text("privateStreamName")
    return {"privateStreamName": private, "publicStreamName": await server.ingest_points.remove(private)}


@INGEST.command(
    "listIngestPoints",
    "Lists the ingest points.",
    answer="Available ingest points",
    data="a list of objects with `privateStreamName` and `publicStreamName`",
    ascii_fields="privateStreamName publicStreamName",
)
async def list_ingest_points(server: "Server", arguments: Arguments) -> Json:
    return [{"privateStreamName": private, "publicStreamName": public} for private, public in sorted(server.ingest_points)]
