"""The floor of a fan-out over UDP: datagrams like those of RTP to 200 receivers, by bare system calls and nothing around them.

    .venv/bin/python -m bench.udp_floor [--players 200] [--seconds 6]

The datagrams are those of 2.5 Mbit/s: 30 pictures a second in packets of 1200 bytes, a key frame every two seconds, and 43
packets of sound. The packets of a picture leave in one call for each receiver, which the kernel cuts apart (``UDP_SEGMENT``).
What is left is what the kernel charges on this machine, and nobody who sends one stream to each receiver gets below it.
"""

import multiprocessing
import multiprocessing.connection
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

from bench.command import read_options
from bench.programs import CLIENT_CORE, FRAME_RATE, GOP_SECONDS, SERVER_CORE

KEY_FRAME = bytes(60_000)
PICTURE = bytes(9_000)
SOUND = bytes(380)
PACKET = 1200

_SOL_UDP, _UDP_SEGMENT = socket.IPPROTO_UDP, 103
_CUT_APART = ((_SOL_UDP, _UDP_SEGMENT, struct.pack("@H", PACKET)),)
_RECEIVE_BUFFER = 1 << 20


def packet_us(players: int, seconds: int) -> float:
    """Processor time for each datagram sent, in µs, on the core that the benchmarks give to the server."""
    ours, theirs = multiprocessing.Pipe()
    receivers = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs, players), daemon=True)
    receivers.start()
    addresses = [("127.0.0.1", port) for port in ours.recv()]
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        sent, used = _send(addresses, seconds)
    finally:
        os.sched_setaffinity(0, everywhere)
        receivers.terminate()
        receivers.join()
    return used * 1e6 / sent


def _send(addresses: list[tuple[str, int]], seconds: int) -> tuple[int, float]:
    """Send in real time; how many datagrams left, and the processor time in seconds."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sent, started, used = 0, time.monotonic(), time.process_time()
    for at, messages in enumerate(_pictures(seconds)):
        time.sleep(max(0.0, started + at / FRAME_RATE - time.monotonic()))
        for message in messages:
            whole = len(message) <= PACKET
            for address in addresses:
                sender.sendmsg((message,), () if whole else _CUT_APART, 0, address)
            sent += len(addresses) * -(-len(message) // PACKET)
    used = time.process_time() - used
    sender.close()
    return sent, used


def _pictures(seconds: int) -> Iterator[list[bytes]]:
    """Each picture with the frames of sound that come with it: 43 for 30 pictures."""
    sounds = 0.0
    for at in range(seconds * FRAME_RATE):
        sounds += 43 / FRAME_RATE
        yield [KEY_FRAME if at % (FRAME_RATE * GOP_SECONDS) == 0 else PICTURE, *[SOUND] * int(sounds)]
        sounds %= 1


def _receive(parent: "multiprocessing.connection.Connection[list[int], None]", count: int) -> None:
    """The process of the receivers: each reads what comes and throws it away."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    poll = select.epoll()
    receivers = {}
    for _ in range(count):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        receivers[receiver.fileno()] = receiver
        poll.register(receiver.fileno(), select.EPOLLIN)
    parent.send([receiver.getsockname()[1] for receiver in receivers.values()])
    buffer = bytearray(PACKET)
    while True:
        # As the players of bench.rtsp_fanout do: to wake them would be charged to the sender.
        time.sleep(0.002)
        for number, _ in poll.poll(0):
            _drain(receivers[number], buffer)


def _drain(receiver: socket.socket, buffer: bytearray) -> None:
    try:
        while True:
            receiver.recv_into(buffer)
    except BlockingIOError:
        pass


def main() -> int:
    """Print the figure."""
    options = read_options(__doc__, players=200, seconds=6)
    cost = packet_us(options.players, options.seconds)
    print(f"bare system calls to {options.players} receivers: {cost:.2f} µs for each datagram")
    return 0


if __name__ == "__main__":
    sys.exit(main())
