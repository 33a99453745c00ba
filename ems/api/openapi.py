"""The commands as an OpenAPI 3.0 document, for tools that make clients or pages of it.

It describes the modern form of the HTTP door: ``POST /<command>`` with a JSON object.
"""

from collections.abc import Iterable

from ems.api.command import COMMAND_ID, Command, Json, Parameter, Type
from ems.version import NAME

Object = dict[str, Json]

SCHEMA_TYPES = {Type.STRING: "string", Type.INT: "integer", Type.BOOL: "boolean", Type.FLOAT: "number"}

FAILURES = {
    "400": "The command could not be carried out; the description says why.",
    "404": "There is no such command.",
    "500": "The server made a mistake, which its log has.",
}


def openapi_document(commands: Iterable[Command], version: str, base: str = "/") -> Object:
    """The document as a JSON value; `version` is the server's, `base` the path under which the commands are."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{NAME} runtime API",
            "version": version,
            "description": "Commands to a running media server. Names of commands and parameters may be in any case.",
        },
        "servers": [{"url": base}],
        "paths": {f"/{command.name}": {"post": _operation(command)} for command in commands},
        "components": {"schemas": {"Reply": _reply_schema()}},
    }


def _operation(command: Command) -> Object:
    body: Object = {"required": bool(_required(command)), "content": _json(_body_schema(command))}
    responses: Object = {"200": _response(_success(command))}
    responses |= {status: _response(meaning) for status, meaning in FAILURES.items()}
    return {
        "operationId": command.name,
        "tags": [command.group],
        "summary": command.summary,
        "deprecated": command.deprecated,
        "requestBody": body,
        "responses": responses,
        "x-implemented": command.implemented,
    }


def _success(command: Command) -> str:
    return f"{command.answer}: {command.data}" if command.data else command.answer


def _response(description: str) -> Object:
    return {"description": description, "content": _json({"$ref": "#/components/schemas/Reply"})}


def _json(schema: Object) -> Object:
    return {"application/json": {"schema": schema}}


def _required(command: Command) -> list[Json]:
    return [parameter.name for parameter in command.parameters if parameter.mandatory]


def _body_schema(command: Command) -> Object:
    parameters = (*command.parameters, COMMAND_ID)
    schema: Object = {"type": "object", "properties": {p.name: _parameter_schema(p) for p in parameters}}
    if required := _required(command):
        schema["required"] = required
    return schema


def _parameter_schema(parameter: Parameter) -> Object:
    schema: Object = {"type": SCHEMA_TYPES[parameter.type]}
    if parameter.minimum is not None:
        schema["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        schema["maximum"] = parameter.maximum
    if parameter.values:
        schema["enum"] = [*parameter.values]
    if parameter.multiple:
        schema = {"type": "array", "items": schema}
    elif parameter.default is not None and not parameter.mandatory:
        schema["default"] = parameter.default if not isinstance(parameter.default, list) else [*parameter.default]
    return schema | {"description": parameter.description}


def _reply_schema() -> Object:
    return {
        "type": "object",
        "required": ["data", "description", "status"],
        "properties": {
            "status": {"type": "string", "enum": ["SUCCESS", "FAIL"]},
            "description": {"type": "string"},
            "data": {"nullable": True, "description": "What the command answers; null when it failed."},
            "responseId": {"type": "string", "description": "The commandId of the request."},
        },
    }
