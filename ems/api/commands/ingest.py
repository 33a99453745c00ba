"""Commands about ingest points: secret names to publish under."""

from ems.api.command import CommandGroup, text

INGEST = CommandGroup("ingest", "Ingest points", "Secret names to publish under, so that the public ones cannot be taken.")

INGEST.command(
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

INGEST.command(
    "removeIngestPoint",
    "Takes an ingest point back.",
    text("privateStreamName", "The name to publish under.", mandatory=True),
    answer="Ingest point removed",
    data="`privateStreamName` and `publicStreamName`",
    example="removeIngestPoint privateStreamName=k9",
    ascii_fields="privateStreamName publicStreamName",
    rejects_empty_parameter_list=True,
)

INGEST.command(
    "listIngestPoints",
    "Lists the ingest points.",
    answer="Available ingest points",
    data="a list of objects with `privateStreamName` and `publicStreamName`",
    ascii_fields="privateStreamName publicStreamName",
)
