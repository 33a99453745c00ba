"""Events as text for other programs: JSON, the XML of the server's own files, and XML-RPC.

Each function takes a map as `Event.envelope` makes it. Half a surrogate pair, which UTF-8 cannot hold, becomes ``?``, and
what XML has no form for (XML 1.0 §2.2) becomes U+FFFD.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

from ems.config.variant import Int32, Int64, SizedInt, UInt32, UInt64, Variant
from ems.config.variant_xml import FORBIDDEN, write_variant
from ems.events.event import Plain

Envelope = Mapping[str, Plain]

WIDE = frozenset(("id", "timestamp", "uniqueId", "inStreamUniqueId", "typeNumeric", "codecNumeric"))
"""Numbers that are 64 bits wide whatever their value."""

XML_DECLARATION = b'<?xml version="1.0" ?>'

METHOD_NAME = "event.Log"
"""The remote procedure that is called with each event."""


def to_json(envelope: Envelope) -> bytes:
    """One JSON object without white space, its keys sorted (RFC 8259)."""
    text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def to_variant_xml(envelope: Envelope) -> bytes:
    """Variant XML (`ems.config.variant_xml`) in one line, without the declaration. Line breaks of texts are ``&#10;``."""
    return write_variant({_storable(key): _typed(key, value) for key, value in envelope.items()}, compact=True)


def to_xml_document(envelope: Envelope) -> bytes:
    """Variant XML behind its declaration."""
    return XML_DECLARATION + to_variant_xml(envelope)


def to_xmlrpc(envelope: Envelope) -> bytes:
    """A ``methodCall`` of `METHOD_NAME` with one parameter, the envelope as a struct."""
    value = "".join(_xmlrpc_value(dict(envelope)))
    call = f"<methodCall><methodName>{METHOD_NAME}</methodName><params><param>{value}</param></params></methodCall>"
    return XML_DECLARATION + call.encode()


class Serializer(NamedTuple):
    """A form of the body, and its media type."""

    content_type: str
    write: Callable[[Envelope], bytes]


SERIALIZERS = {
    "JSON": Serializer("application/json", to_json),
    "XML": Serializer("application/xml", to_xml_document),
    "XMLRPC": Serializer("application/xml", to_xmlrpc),
}
"""By their names in the configuration, ``serializerType``."""


def _storable(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)


def _typed(name: str, value: Plain) -> Variant:
    """A value with the width that variants need. What is too large for 64 bits is told as text."""
    match value:
        case str():
            return _storable(value)
        case bool() | SizedInt():
            return value
        case int():
            return _sized(value, wide=name in WIDE)
        case dict():
            return {_storable(key): _typed(key, item) for key, item in value.items()}
        case list():
            return [_typed("", item) for item in value]
    return value


def _sized(value: int, *, wide: bool) -> Variant:
    bits = (~value).bit_length() + 1 if value < 0 else value.bit_length()
    if bits > 64:
        return str(value)
    small = bits <= 32 and not wide
    if value < 0:
        return Int32(value) if small else Int64(value)
    return UInt32(value) if small else UInt64(value)


def _xmlrpc_value(value: Plain) -> Iterator[str]:
    yield "<value>"
    match value:
        case None:
            yield "<nil/>"
        case bool():
            yield f"<boolean>{int(value)}</boolean>"
        case int():
            yield f"<int>{int(value)}</int>"
        case float():
            yield f"<double>{value:.3f}</double>"
        case str():
            yield f"<string>{_escaped(value)}</string>"
        case list():
            yield "<array><data>"
            for item in value:
                yield from _xmlrpc_value(item)
            yield "</data></array>"
        case dict():
            yield "<struct>"
            for key in sorted(value):
                yield f"<member><name>{_escaped(key)}</name>"
                yield from _xmlrpc_value(value[key])
                yield "</member>"
            yield "</struct>"
    yield "</value>"


def _escaped(text: str) -> str:
    return escape(_storable(text), {"\r": "&#13;"})
