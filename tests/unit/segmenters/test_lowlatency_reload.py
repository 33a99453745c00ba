"""Answers that wait: who is let go when, and who is given up."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ems.published import PublishedFile, Unavailable
from ems.segmenters.hls import lowlatency_reload
from ems.segmenters.hls.lowlatency_reload import BlockingPlaylist, ComingPart
from tests.unit.segmenters.test_lowlatency_playlist import playlist


class Asking:
    """A request that is under way: `text` or `status` when it has been answered."""

    def __init__(self, file: BlockingPlaylist | ComingPart, **query: str) -> None:
        self.text = ""
        self.data: bytes | None = None
        self.status = 0
        self.cancelled = False
        self.done: Deferred[Any] = ensureDeferred(file.answer(query))
        self.done.addCallbacks(self._answered, self._failed)

    @property
    def waits(self) -> bool:
        return self.data is None and not self.status and not self.cancelled

    def _answered(self, file: PublishedFile) -> None:
        self.data = file.data
        self.text = file.data.decode()

    def _failed(self, failure: Failure) -> None:
        if failure.check(Unavailable):
            self.status = failure.value.status
        else:
            failure.trap(CancelledError)
            self.cancelled = True


def test_a_player_gets_the_playlist_when_its_part_is_there() -> None:
    """The answer comes at the moment at which the playlist has what was asked for, not before and not later."""
    file = BlockingPlaylist(Clock(), 30)
    file.show(playlist(unfinished=2))
    now, next_part, next_segment = (
        Asking(file),
        Asking(file, _HLS_msn="14", _HLS_part="2"),
        Asking(file, _HLS_msn="14"),
    )
    assert (now.waits, next_part.waits, next_segment.waits) == (False, True, True)
    file.show(playlist(unfinished=3))
    assert (next_part.waits, next_segment.waits) == (False, True)
    assert "p14.2.m4s" in next_part.text
    file.show(playlist(5, unfinished=0))
    assert "s14.m4s" in next_segment.text


def test_the_first_players_wait_for_the_first_segment() -> None:
    """Who comes before there is anything gets the playlist when there is."""
    clock = Clock()
    file = BlockingPlaylist(clock, 30)
    early, late = Asking(file), Asking(file)
    file.show(playlist())
    assert early.text == late.text != ""
    asking = Asking(BlockingPlaylist(clock, 30))
    clock.advance(30)
    assert asking.status == 503


def test_everybody_gets_the_same_bytes() -> None:
    """The playlist is written once for all who wait for it, not once for each."""
    file = BlockingPlaylist(Clock(), 30)
    file.show(playlist())
    waiting = [Asking(file, _HLS_msn="14", _HLS_part="2") for _ in range(500)]
    file.show(playlist(unfinished=3))
    assert len({id(asking.data) for asking in waiting}) == 1


def test_after_three_target_durations_the_answer_is_503() -> None:
    """When the source stands still, players are not kept waiting for ever."""
    clock = Clock()
    file = BlockingPlaylist(clock, 30)
    file.show(playlist())
    asking = Asking(file, _HLS_msn="14", _HLS_part="2")
    clock.advance(5.9)
    assert asking.waits
    clock.advance(0.2)
    assert asking.status == 503
    assert not clock.getDelayedCalls()


def test_nonsense_is_answered_at_once() -> None:
    """What can never come, or makes no sense, is not waited for."""
    file = BlockingPlaylist(Clock(), 30)
    file.show(playlist())
    assert Asking(file, _HLS_msn="1000000000000").status == 400
    assert Asking(file, _HLS_part="1").status == 400
    assert Asking(file, _HLS_msn="14", _HLS_part="-1").status == 400


def test_the_end_wakes_everybody() -> None:
    """When the stream ends, all who wait get the final playlist."""
    file = BlockingPlaylist(Clock(), 30)
    file.show(playlist())
    waiting = [Asking(file, _HLS_msn="14"), Asking(file, _HLS_msn="15", _HLS_part="3")]
    file.show(playlist(unfinished=0, ended=True))
    assert all("#EXT-X-ENDLIST" in asking.text for asking in waiting)


def test_a_stream_that_is_removed_keeps_nobody() -> None:
    """When the output is removed, all who wait are told that there is nothing to wait for."""
    clock = Clock()
    file = BlockingPlaylist(clock, 30)
    asking = Asking(file)
    file.close("removed")
    assert asking.status == 503
    assert not clock.getDelayedCalls()


def test_players_that_go_away_leave_nothing_behind() -> None:
    """A request whose connection is lost is forgotten, with its timer."""
    clock = Clock()
    file = BlockingPlaylist(clock, 30)
    file.show(playlist())
    asking = Asking(file, _HLS_msn="14")
    asking.done.cancel()
    assert asking.cancelled
    assert not clock.getDelayedCalls()
    file.show(playlist(5))


def test_not_more_than_so_many_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit players are turned away at once."""
    monkeypatch.setattr(lowlatency_reload, "MAX_WAITING", 20)
    file = BlockingPlaylist(Clock(), 30)
    file.show(playlist())
    waiting = [Asking(file, _HLS_msn="14") for _ in range(20)]
    assert Asking(file, _HLS_msn="14").status == 503
    file.show(playlist(5))
    assert not any(asking.waits for asking in waiting)


def test_the_coming_part_is_given_when_it_is_there() -> None:
    """A player may ask for the part that the playlist hints at, and gets it as soon as it exists."""
    clock = Clock()
    part = ComingPart(clock, 6)
    early = Asking(part)
    assert early.waits
    part.here(b"part")
    assert (early.data, Asking(part).data) == (b"part", b"part")
    never = Asking(ComingPart(clock, 6))
    clock.advance(6)
    assert never.status == 503
