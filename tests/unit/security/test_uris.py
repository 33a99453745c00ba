"""The server connects to hosts, but not to a cloud's secrets."""

import pytest

from ems.errors import CommandError
from ems.security.uris import check_destination
from ems.uri import Uri


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("rtmp://camera.example/live/x", "203.0.113.4"),
        ("rtmp://camera.example/live/x", "10.0.0.7"),
        ("rtmp://localhost/live/x", "127.0.0.1"),
        ("rtsp://[::1]/x", "::1"),
        ("rtsp://v6.example/x", "2001:db8::1"),
        ("mpegtsudp://239.1.2.3:1234/", "239.1.2.3"),
        ("mpegtsudp://255.255.255.255:1234/", "255.255.255.255"),
        ("rtp://[ff15::1]:5004/", "ff15::1"),
        ("https://x.example/a.m3u8", "198.51.100.1"),
        ("plugin://x.example:70/", "192.0.2.1"),
    ],
)
def test_ordinary_hosts_are_allowed(uri: str, address: str) -> None:
    """Public, private and own addresses, and multicast for what is sent by it."""
    check_destination(Uri.parse(uri), address)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("rtmp://innocent.example/live/x", "169.254.169.254"),
        ("rtmp://innocent.example/live/x", "::ffff:169.254.169.254"),
        ("rtmp://innocent.example/live/x", "64:ff9b::a9fe:a9fe"),
        ("rtmp://innocent.example/live/x", "2002:a9fe:a9fe::1"),
        ("rtmp://innocent.example/live/x", "fe80::1%eth0"),
        ("rtmp://innocent.example/live/x", "fd00:ec2::254"),
        ("rtmp://innocent.example/live/x", "100.100.100.200"),
        ("rtmp://239.1.2.3/live/x", "239.1.2.3"),
        ("rtsp://[ff02::1]/x", "ff02::1"),
        ("rtmp://x.example/live/x", "255.255.255.255"),
        ("rtmp://x.example/live/x", "not resolved"),
        ("rtmp://x.example/live/x", ""),
        ("file:///etc/passwd", "127.0.0.1"),
    ],
)
def test_the_rest_is_refused_in_words(uri: str, address: str) -> None:
    """Link-local and metadata addresses in every disguise, multicast where it makes no sense, and files."""
    with pytest.raises(CommandError, match=r"the server does not connect to|is not an IP address"):
        check_destination(Uri.parse(uri), address)
