"""UDP for media: pairs of ports, packets gathered into runs, multicast."""

import socket
from collections.abc import Callable, Iterator

import pytest
from twisted.logger import LogEvent

from ems.errors import CommandError
from ems.net.udp import MAX_SEGMENTS, Address, PortPairs, PortRange, UdpSocket, bound_socket, gathered, peer_address

Open = Callable[..., UdpSocket]


@pytest.fixture
def received() -> list[bytes]:
    """What has come in."""
    return []


@pytest.fixture
def open_socket(received: list[bytes]) -> Iterator[Open]:
    """Opens sockets, which are read by hand."""
    opened: list[UdpSocket] = []

    def open_one(host: str = "127.0.0.1", port: int = 0) -> UdpSocket:
        opened.append(UdpSocket(None, bound_socket(host, port), lambda data, address: received.append(data)))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ([], []),
        ([5], [1]),
        ([5, 5, 5], [3]),
        ([5, 5, 3], [3]),
        ([5, 3, 5], [2, 1]),
        ([3, 5, 5, 5, 1, 1], [1, 4, 1]),
        ([1200] * 60, [54, 6]),
        ([10] * 130, [MAX_SEGMENTS, MAX_SEGMENTS, 2]),
    ],
)
def test_gathered(sizes: list[int], runs: list[int]) -> None:
    """Packets of one size, and a shorter one behind them, leave in one call, as far as the kernel takes them."""
    packets = [bytes([index % 256]) * size for index, size in enumerate(sizes)]
    found = gathered(packets)
    assert [run.count for run in found] == runs
    assert b"".join(run.data for run in found) == b"".join(packets)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_run_arrives_as_its_packets(host: str, open_socket: Open, received: list[bytes]) -> None:
    """What is sent in one call arrives in the packets that it was made of, over IPv4 and over IPv6."""
    reader, writer = open_socket(host), open_socket(host)
    writer.aim(peer_address(writer.family, *reader.address))
    packets = [bytes([number]) * 1200 for number in range(40)] + [b"end"]
    for run in gathered(packets):
        assert writer.send_run(run)
    reader.doRead()
    assert received == packets


def test_without_segmentation(open_socket: Open, received: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that cannot cut packets apart gets them one by one."""
    reader, writer = open_socket(), open_socket()
    writer.aim(reader.address)
    run = gathered([b"one", b"two", b"3"])[0]
    broken = type(run)(run.data, run.size, run.count, ((socket.SOL_UDP, 9999, b"\0\0"),))
    assert writer.send_run(broken)
    reader.doRead()
    assert received == [b"one", b"two", b"3"]


def send(writer: UdpSocket, data: bytes, address: Address) -> bool:
    """Send a datagram to an address."""
    writer.aim(address)
    return writer.send(data)


def test_aimed_nowhere(open_socket: Open) -> None:
    """What has no address does not leave."""
    assert not open_socket().send(b"x")


def test_connected(open_socket: Open, received: list[bytes]) -> None:
    """A connected socket hears nobody but the one that it is aimed at."""
    reader, writer, stranger = open_socket(), open_socket(), open_socket()
    for one, other in ((reader, writer), (writer, reader)):
        one.aim(other.address)
        one.connect()
    assert send(stranger, b"not mine", reader.address)
    for run in gathered([b"mine", b"mine", b"too"]):
        assert writer.send_run(run)
    reader.doRead()
    assert received == [b"mine", b"mine", b"too"]


def test_nobody_listens(open_socket: Open, received: list[bytes]) -> None:
    """A peer that is not there is no error, and nothing is lost when it comes back."""
    writer, closed = open_socket(), open_socket()
    address = closed.address
    closed.close()
    assert closed.address == ("", 0)
    assert not send(closed, b"x", address)
    writer.aim(address)
    writer.connect()
    for _ in range(3):
        assert writer.send(b"x")
        writer.doRead()
    assert writer.send(b"x")
    back = open_socket(*address)
    assert writer.send(b"here")
    back.doRead()
    assert received == [b"here"]


def test_a_datagram_that_makes_trouble(open_socket: Open, received: list[bytes], log_events: list[LogEvent]) -> None:
    """A datagram at which a protocol fails is dropped; the socket goes on, and the log has it once."""
    reader, writer = open_socket(), open_socket()

    def tell(data: bytes, address: Address) -> None:
        if data == b"bad":
            raise RuntimeError("broken on purpose")
        received.append(data)

    reader.tell = tell
    for data in (b"bad", b"good", b"bad", b"better"):
        send(writer, data, reader.address)
    reader.doRead()
    assert received == [b"good", b"better"]
    assert [event["log_failure"].type for event in log_events if "log_failure" in event] == [RuntimeError]


def test_pairs_are_even_and_odd() -> None:
    """RTP has an even port and RTCP the one behind it; a port that is in use is passed over, and all are used."""
    with bound_socket("127.0.0.1", 0) as probe:
        base = probe.getsockname()[1] & ~1
    pairs = PortPairs(PortRange(base, base + 3))
    first, second = pairs.bind("127.0.0.1"), pairs.bind("127.0.0.1")
    ports = [one.getsockname()[1] for one in (*first, *second)]
    assert ports == [base, base + 1, base + 2, base + 3]
    with pytest.raises(CommandError, match="no pair of UDP ports is free"):
        pairs.bind("127.0.0.1")
    for one in (*first, *second):
        one.close()
    with pytest.raises(CommandError, match="there is no pair"):
        PortPairs(PortRange(5001, 5002))


def test_the_system_chooses() -> None:
    """Without a range pairs are even and odd as well."""
    rtp, rtcp = PortPairs().bind("::1")
    assert rtp.getsockname()[1] % 2 == 0
    assert rtcp.getsockname()[1] == rtp.getsockname()[1] + 1
    rtp.close()
    rtcp.close()


@pytest.mark.parametrize("source", ["", "127.0.0.1"])
def test_multicast(source: str, open_socket: Open, received: list[bytes]) -> None:
    """A group is heard from when it has been joined, from any source or from one."""
    reader, writer = open_socket("239.255.18.7"), open_socket()
    reader.join("239.255.18.7", source=source, interface="lo")
    writer.set_ttl(0)
    writer.set_tos(0x88)
    writer.set_multicast_interface("127.0.0.1")
    assert send(writer, b"to all", ("239.255.18.7", reader.address[1]))
    reader.doRead()
    assert received == [b"to all"]
    reader.leave("239.255.18.7", source=source, interface="lo")


def test_multicast_mistakes(open_socket: Open) -> None:
    """An address of the wrong kind is told from a group."""
    reader = open_socket()
    with pytest.raises(CommandError, match="no multicast group"):
        reader.join("192.0.2.1")
    with pytest.raises(CommandError, match="another IP version"):
        reader.join("ff15::1")


def test_a_receiver_may_close(open_socket: Open, received: list[bytes]) -> None:
    """Whoever is given a datagram may close the socket."""
    reader, writer = open_socket(), open_socket()

    def tell(data: bytes, address: Address) -> None:
        received.append(data)
        reader.close()

    reader.tell = tell
    for _ in range(2):
        send(writer, b"x", reader.address)
    reader.doRead()
    assert received == [b"x"]
