"""The Transport header: what clients offer is understood, what is nonsense is left out, and what is answered says the same."""

import pytest

from ems.protocols.rtsp.transport import Transport, parse_transports


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("RTP/AVP;unicast;client_port=5000-5001", Transport(client_port=(5000, 5001))),
        ("RTP/AVP/UDP;unicast;client_port=5000", Transport(client_port=(5000, 5001))),
        ("rtp/avp/tcp;unicast;interleaved=2-3;mode=record", Transport(tcp=True, interleaved=(2, 3), mode="RECORD")),
        ('RTP/AVP/TCP;unicast;mode="PLAY"', Transport(tcp=True, mode="PLAY")),
        ("RTP/AVP;multicast;destination=239.1.2.3;ttl=16", Transport(multicast=True, destination="239.1.2.3", ttl=16)),
        ("RAW/RAW/UDP;unicast;client_port=1234-1235", Transport("RAW/RAW", client_port=(1234, 1235))),
        ("MP2T/H2221/UDP;unicast;client_port=1234-1235", Transport("MP2T/H2221", client_port=(1234, 1235))),
        ("RTP/AVP;unicast;client_port=1-2;ssrc=zz;x=y", Transport(client_port=(1, 2))),
    ],
)  # fmt: skip
def test_read(header: str, expected: Transport) -> None:
    """The forms that clients use."""
    assert parse_transports(header) == [expected]


@pytest.mark.parametrize(
    "header",
    ["", ",", "RTP/SAVP;unicast", "RTP", "RTP/AVP/XYZ", "RTP/AVP;client_port=70000", "RTP/AVP;client_port=-5", "RTP/AVP;ttl=256",
     "RTP/AVP;interleaved=0-256", "RTP/AVP;client_port=٣"],
)  # fmt: skip
def test_nonsense_is_left_out(header: str) -> None:
    """A transport that cannot be is none."""
    assert parse_transports(header) == []


def test_several() -> None:
    """Offers stay in their order; those that are not known do not count."""
    header = "RTP/SAVP;unicast,RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=0-1"
    assert [offer.tcp for offer in parse_transports(header)] == [False, True]


def test_written() -> None:
    """What is answered reads as what was meant."""
    for transport in (
        Transport(client_port=(5000, 5001), server_port=(6000, 6001), source="192.0.2.1", ssrc=0xABC),
        Transport(tcp=True, interleaved=(0, 1), mode="RECORD"),
        Transport(multicast=True, destination="239.1.2.3", port=(7000, 7001), ttl=5),
        Transport("RAW/RAW", client_port=(1234, 1235)),
    ):
        assert parse_transports(str(transport)) == [transport]
