"""The bodies that receivers get, letter by letter."""

import json
import xmlrpc.client
from typing import Any, cast

from ems.config.variant_xml import read_variant
from ems.events.serializers import SERIALIZERS, to_json, to_variant_xml, to_xml_document, to_xmlrpc
from tests.unit.events.samples import STREAM, event, segment


def test_json_is_one_compact_object_with_sorted_keys() -> None:
    """The documents' example, with the same meaning to every JSON parser."""
    expected = (
        '{"id":41,"payload":{"PID":4021,"customData":null,"file":"../evo-webroot/show1/show_hi/segment_3.ts",'
        '"playlistStartTs":1715000000123.0,"segmentDuration":6006.0,"segmentStartTs":18018.0},'
        '"processId":4021,"timestamp":1715000024,"type":"hlsChunkClosed"}'
    )
    assert to_json(segment()).decode() == expected
    documented = (
        r'{"id":41,"payload":{"PID":4021,"customData":null,"file":"..\/evo-webroot\/show1\/show_hi\/segment_3.ts",'
        r'"playlistStartTs":1715000000123.0000,"segmentDuration":6006.0000,"segmentStartTs":18018.0000},'
        r'"processId":4021,"timestamp":1715000024,"type":"hlsChunkClosed"}'
    )
    assert json.loads(to_json(segment())) == json.loads(documented)


def test_xml_is_the_form_of_the_servers_own_files() -> None:
    """Root, names, types and order are those of variant XML, in one line."""
    envelope = event("timerTriggered", 3, timerId=2, value="12:00:00", triggerCount=1, up=1.5, on=True, below=-4).envelope([7])
    assert to_xml_document(envelope).decode() == (
        '<?xml version="1.0" ?><MAP isArray="false" name=""><UINT64 name="id">3</UINT64><MAP isArray="false" name="payload">'
        '<UINT32 name="PID">4021</UINT32><INT32 name="below">-4</INT32>'
        '<MAP isArray="true" name="customData"><UINT32 name="0x00000000">7</UINT32></MAP>'
        '<BOOL name="on">true</BOOL><UINT32 name="timerId">2</UINT32><UINT32 name="triggerCount">1</UINT32>'
        '<DOUBLE name="up">1.500</DOUBLE><STR name="value">12:00:00</STR></MAP>'
        '<UINT32 name="processId">4021</UINT32><UINT64 name="timestamp">1715000024</UINT64>'
        '<STR name="type">timerTriggered</STR></MAP>'
    )


def test_xmlrpc_is_a_call_of_event_log() -> None:
    """One parameter, a struct with everything."""
    envelope = event("timerTriggered", 3, value="a<b", up=1.5, on=True, list=[1, None]).envelope()
    assert to_xmlrpc(envelope).decode() == (
        '<?xml version="1.0" ?><methodCall><methodName>event.Log</methodName><params><param><value><struct>'
        "<member><name>id</name><value><int>3</int></value></member>"
        "<member><name>payload</name><value><struct>"
        "<member><name>PID</name><value><int>4021</int></value></member>"
        "<member><name>customData</name><value><nil/></value></member>"
        "<member><name>list</name><value><array><data><value><int>1</int></value><value><nil/></value></data></array></value>"
        "</member>"
        "<member><name>on</name><value><boolean>1</boolean></value></member>"
        "<member><name>up</name><value><double>1.500</double></value></member>"
        "<member><name>value</name><value><string>a&lt;b</string></value></member>"
        "</struct></value></member>"
        "<member><name>processId</name><value><int>4021</int></value></member>"
        "<member><name>timestamp</name><value><int>1715000024</int></value></member>"
        "<member><name>type</name><value><string>timerTriggered</string></value></member>"
        "</struct></value></param></params></methodCall>"
    )


def test_an_ordinary_xmlrpc_library_understands_a_whole_stream() -> None:
    """Python's own reads back what was told, 64-bit numbers included."""
    envelope = event("inStreamCreated", **STREAM).envelope()
    (told,), method = xmlrpc.client.loads(to_xmlrpc(envelope))
    assert method == "event.Log"
    assert cast(dict[str, Any], told)["payload"]["typeNumeric"] == STREAM["typeNumeric"]


def test_the_xml_reads_back() -> None:
    """Nothing of a stream object is lost in XML but the difference between lists and arrays."""
    envelope = event("inStreamCreated", **STREAM).envelope()
    assert read_variant(to_variant_xml(envelope)) == {
        **envelope,
        "payload": {**cast(dict[str, Any], envelope["payload"]), "outStreamsUniqueIds": {}},
    }


def test_texts_that_a_peer_has_made_up_break_nothing() -> None:
    """Line breaks, markup, control characters and half characters are told as well as each form can."""
    nasty: dict[str, Any] = {"text": 'a\n]]><b>&"\x00\ud800\r', "\n<k>": 2**70, "big": -(2**63), "bigger": 2**63}
    envelope = event("cliRequest", **nasty).envelope()
    for name, serializer in SERIALIZERS.items():
        body = serializer.write(envelope)
        body.decode("utf-8")
        assert name == "JSON" or b"\x00" not in body
    read = read_variant(to_variant_xml(envelope))
    assert isinstance(read, dict)
    payload = cast(dict[str, Any], read["payload"])
    assert payload["text"] == 'a\n]]><b>&"\ufffd\ufffd\r'
    assert (payload["\n<k>"], payload["big"], payload["bigger"]) == (str(2**70), -(2**63), 2**63)
    assert b"\n" not in to_variant_xml(envelope)
    assert json.loads(to_json(envelope))["payload"]["text"] == 'a\n]]><b>&"\x00?\r'
    (told,), _ = xmlrpc.client.loads(to_xmlrpc(event("x", text=nasty["text"]).envelope()))
    assert cast(dict[str, Any], told)["payload"]["text"] == 'a\n]]><b>&"\ufffd\ufffd\r'


def test_media_types() -> None:
    """Receivers can tell the forms apart."""
    assert {name: serializer.content_type for name, serializer in SERIALIZERS.items()} == {
        "JSON": "application/json",
        "XML": "application/xml",
        "XMLRPC": "application/xml",
    }
