"""Keys from a key server, which answers as the test says; time is a clock of the test."""

from collections.abc import Awaitable, Callable

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from ems.config.features import Drm
from ems.segmenters.hls.encryption import KeySchedule
from ems.segmenters.hls.seams import ProtectionError
from ems.segmenters.hls.verimatrix import FIRST_KEY_TIMEOUT, KeyAnswer, VcasKeys

DRM = Drm(type="verimatrix", request_timer=2, reserve_keys=5, url_prefix="http://keys.example/CAB/keyfile")
PUBLIC = "https://public.example/keys"


class KeyServer:
    """Remembers what it is asked, and answers with `answer`, or later."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.answer: Callable[[int], KeyAnswer] = lambda number: KeyAnswer(200, PUBLIC, bytes([number]) * 16)
        self.waiting: list[Deferred[KeyAnswer]] = []
        self.late = False

    def request(self, url: str) -> Awaitable[KeyAnswer]:
        self.urls.append(url)
        answer: Deferred[KeyAnswer] = Deferred()
        if self.late:
            self.waiting.append(answer)
        else:
            answer.callback(self.answer(len(self.urls) - 1))
        return answer


def started(server: KeyServer, clock: Clock) -> VcasKeys:
    keys = VcasKeys(clock, DRM, server.request, key_id=77)
    keys.start()
    return keys


def test_one_key_is_asked_for_at_a_time_until_the_reserve_is_full() -> None:
    """Each requestTimer seconds one key is fetched, in order, and no more than reserveKeys are kept."""
    server, clock = KeyServer(), Clock()
    started(server, clock)
    clock.pump([2] * 20)
    assert server.urls == [f"http://keys.example/CAB/keyfile?r=77&t=VOD&p={position}" for position in range(5)]


def test_players_are_sent_to_the_public_address() -> None:
    """The playlist names the key server's public address, with id and position; nothing is written to the disk."""
    keys = started(KeyServer(), Clock())
    key = keys.next_key()
    assert key.uri == "https://public.example/keys?r=77&t=VOD&p=0"
    assert (key.key, key.files, len(key.iv)) == (bytes(16), {}, 16)


def test_a_key_that_was_used_is_replaced() -> None:
    """The reserve is filled up again as keys are used."""
    server, clock = KeyServer(), Clock()
    keys = started(server, clock)
    clock.pump([2] * 10)
    keys.next_key()
    clock.pump([2] * 10)
    assert len(server.urls) == 6


def test_a_server_that_is_slow_is_not_asked_twice() -> None:
    """As long as one request is under way no second one is made."""
    server, clock = KeyServer(), Clock()
    server.late = True
    started(server, clock)
    clock.pump([2] * 10)
    assert len(server.urls) == 1


@pytest.mark.parametrize(
    "answer",
    [
        KeyAnswer(500, PUBLIC, bytes(16)),
        KeyAnswer(302, PUBLIC, bytes(16)),
        KeyAnswer(200, PUBLIC, bytes(15)),
        KeyAnswer(200, PUBLIC, bytes(17)),
        KeyAnswer(200, "", bytes(16)),
        KeyAnswer(200, "ftp://public.example/keys", bytes(16)),
        KeyAnswer(200, "https://public.example/\nx", bytes(16)),
        KeyAnswer(200, "https://" + "x" * 3000, bytes(16)),
    ],
)
def test_answers_that_are_no_key_are_not_used(answer: KeyAnswer) -> None:
    """An error, a body of another size, or no address for players: there is no key, and the same one is asked for again."""
    server, clock = KeyServer(), Clock()
    server.answer = lambda number: answer
    keys = started(server, clock)
    with pytest.raises(ProtectionError, match=r"keys\.example"):
        keys.next_key()
    clock.advance(2)
    assert server.urls[0] == server.urls[1]


def test_without_the_key_server_the_last_key_goes_on() -> None:
    """When the key server is away, segments stay encrypted with its last key, and change when it is back."""
    server, clock = KeyServer(), Clock()
    keys = started(server, clock)
    schedule = KeySchedule(keys, 1)
    first = schedule.next_segment()
    server.answer = lambda number: KeyAnswer(503, "", b"")
    clock.advance(2)
    assert schedule.next_segment() == first
    server.answer = lambda number: KeyAnswer(200, PUBLIC, b"b" * 16)
    clock.advance(2)
    assert schedule.next_segment().key == b"b" * 16


def test_the_first_segment_waits_for_a_key() -> None:
    """A key server that takes its time delays the first segment; one that never answers does not stop the output for ever."""
    server, clock = KeyServer(), Clock()
    server.late = True
    keys = started(server, clock)
    waited: list[bool] = []
    done = ensureDeferred(keys.first())
    done.addCallback(lambda _: waited.append(True))
    assert not waited
    server.waiting[0].callback(server.answer(0))
    assert waited
    silent = started(server, clock)
    ensureDeferred(silent.first()).addCallback(lambda _: waited.append(False))
    clock.advance(FIRST_KEY_TIMEOUT)
    assert waited == [True, False]


def test_a_closed_output_asks_no_more() -> None:
    """When the output is over, so are the requests."""
    server, clock = KeyServer(), Clock()
    keys = started(server, clock)
    keys.close()
    clock.pump([2] * 10)
    assert len(server.urls) == 1
    assert not clock.getDelayedCalls()


def test_a_closed_output_waits_for_no_key() -> None:
    """Segments that are still to be written when the output is over are not kept waiting, and nothing begins again."""
    server, clock = KeyServer(), Clock()
    server.late = True
    keys = started(server, clock)
    waiting = ensureDeferred(keys.first())
    keys.close()
    keys.start()
    assert waiting.called and ensureDeferred(keys.first()).called
    assert not clock.getDelayedCalls()


def test_each_output_has_an_id_of_its_own() -> None:
    """Two outputs never get the same keys."""
    server, clock = KeyServer(), Clock()
    for _ in range(20):
        VcasKeys(clock, DRM, server.request).start()
    assert len(set(server.urls)) == 20
