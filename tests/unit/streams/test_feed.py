"""Feeds, cursors and outlets: every viewer gets whole packets in order, and a slow one loses whole groups and nothing else."""

import random
import re
from typing import Any

import pytest
from twisted.internet.task import Clock

from ems.media.frame import SECOND, Frame
from ems.media.track import Kind
from ems.streams.feed import Cursor, Feed
from ems.streams.outlet import FanOut
from tests.unit.streams.frames import AUDIO, DATA, NEW_AUDIO, NEW_VIDEO, VIDEO, frame, group
from tests.unit.streams.transports import PlainTransport, PushTransport, TextFeed, Viewer, feed_of

HELLO = "{hello}"
HEADERS = "[video 1,audio 1]"
HEADERS_OF_SOUND = "[audio 1]"


def names(start: int, pictures: int = 5) -> list[str]:
    """What a group of pictures looks like on the wire."""
    return [f"<video {start + 40 * index}>" for index in range(pictures)]


def push(feed: Feed, *frames: Any) -> None:
    """Frames into the feed."""
    for one in frames:
        feed.frame(one)


@pytest.mark.parametrize("transport", [PlainTransport, PushTransport])
def test_headers_then_the_newest_group_then_everything(transport: Any) -> None:
    """A viewer begins with the headers and the newest key frame, and misses nothing from there on."""
    clock, fan_out, feed = feed_of(VIDEO, AUDIO)
    push(feed, *group(0), *group(200))
    viewer = Viewer(feed, fan_out, transport())
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, HEADERS, *names(200)]
    push(feed, *group(400), frame(AUDIO, 600))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, HEADERS, *names(200), *names(400), "<audio 600>"]
    assert viewer.bytes_sent == len(viewer.transport.received)


def test_a_viewer_of_an_empty_feed_waits_for_a_key_frame() -> None:
    """Nothing but the hello comes until there is something to begin with."""
    clock, fan_out, feed = feed_of(VIDEO, AUDIO)
    viewer = Viewer(feed, fan_out, PlainTransport())
    push(feed, frame(VIDEO, 0), frame(AUDIO, 5))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO]
    push(feed, *group(40))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, HEADERS, *names(40)]


def test_at_next_waits_for_the_next_key_frame() -> None:
    """A viewer that has been here already is not sent the present group again."""
    clock, fan_out, feed = feed_of(VIDEO)
    push(feed, *group(0))
    viewer = Viewer(feed, fan_out, PlainTransport(), at_next=True)
    push(feed, frame(VIDEO, 200))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO]
    push(feed, *group(240))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, "[video 1]", *names(240)]


@pytest.mark.parametrize("transport", [PlainTransport, PushTransport])
def test_a_slow_reader_skips_to_a_key_frame(transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot keep up gets what was on its way, then the newest key frame; headers come again only when they are new."""
    monkeypatch.setattr(TextFeed, "MAX_BYTES", 200_000)
    clock, fan_out, feed = feed_of(VIDEO)
    viewer = Viewer(feed, fan_out, transport())
    push(feed, *group(0, size=1000))
    clock.advance(0.1)
    viewer.transport.room = 0
    for start in range(200, 40_000, 200):
        push(feed, *group(start, size=10_000))
        clock.advance(0.1)
    assert len(viewer.transport.buffer) <= 250_000
    viewer.transport.read()
    clock.advance(0.1)
    tokens = viewer.tokens
    gap = next(i for i, token in enumerate(tokens) if token in names(200, 1000) and _ms(token) - _ms(tokens[i - 1]) > 40)
    assert _ms(tokens[gap]) % 200 == 0
    assert tokens[-5:] == names(39_800)
    assert tokens.count("[video 1]") == 1
    delivered, dropped = viewer.cursor.delivered, viewer.cursor.dropped
    assert delivered.video_packets == len(tokens) - 2
    assert delivered.video_packets + dropped.video_packets == 200 * 5
    assert delivered.video_bytes + dropped.video_bytes == 199 * 5 * 10_000 + 5 * 1000


@pytest.mark.parametrize("transport", [PlainTransport, PushTransport])
def test_a_slow_reader_gets_headers_that_changed_meanwhile(transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the configuration changed in what was skipped, the new headers stand before the key frame."""
    monkeypatch.setattr(TextFeed, "MAX_BYTES", 200_000)
    clock, fan_out, feed = feed_of(VIDEO)
    viewer = Viewer(feed, fan_out, transport())
    push(feed, *group(0))
    clock.advance(0.1)
    viewer.transport.room = 0
    for start in range(200, 20_000, 200):
        push(feed, *group(start, size=10_000))
        if start == 6000:
            feed.tracks_changed((NEW_VIDEO,))
        clock.advance(0.1)
    viewer.transport.read()
    clock.advance(0.1)
    tokens = viewer.tokens
    at = tokens.index("[video 2]")
    assert _ms(tokens[at + 1]) % 200 == 0
    assert tokens.count("[video 2]") == 1
    assert tokens[-5:] == names(19_800)


def test_a_change_of_headers_comes_in_its_place() -> None:
    """A viewer that keeps up gets new headers between the frames they stand between."""
    clock, fan_out, feed = feed_of(VIDEO, AUDIO)
    viewer = Viewer(feed, fan_out, PlainTransport())
    push(feed, *group(0))
    feed.tracks_changed((VIDEO, NEW_AUDIO))
    push(feed, frame(NEW_AUDIO, 200))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, "[video 1,audio 2]", *names(0), "[video 1,audio 2]", "<audio 200>"]


def test_a_new_picture_waits_for_its_key_frame() -> None:
    """Who joins right after a change of the picture's configuration does not get frames of the old one."""
    clock, fan_out, feed = feed_of(VIDEO)
    push(feed, *group(0))
    feed.tracks_changed((NEW_VIDEO,))
    viewer = Viewer(feed, fan_out, PlainTransport())
    push(feed, frame(NEW_VIDEO, 200))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO]
    push(feed, *group(240, track=NEW_VIDEO))
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, "[video 2]", *names(240)]


def test_a_ring_smaller_than_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group too large to keep is not there for late joiners; those who keep up get it whole."""
    monkeypatch.setattr(TextFeed, "MAX_BYTES", 20_000)
    monkeypatch.setattr(TextFeed, "MAX_GOP_BYTES", 40_000)
    clock, fan_out, feed = feed_of(VIDEO)
    early = Viewer(feed, fan_out, PlainTransport())
    for one in group(0, 100, size=1000):
        push(feed, one)
        clock.advance(0.1)
    late = Viewer(feed, fan_out, PlainTransport())
    push(feed, frame(VIDEO, 4000))
    clock.advance(0.1)
    assert late.tokens == [HELLO]
    push(feed, *group(4040))
    clock.advance(0.1)
    assert late.tokens == [HELLO, "[video 1]", *names(4040)]
    assert early.tokens == [HELLO, "[video 1]", *names(0, 101), *names(4040)]


def test_a_large_group_is_kept_beyond_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest key frame stays beyond the ring's own bounds, so that a late joiner need not wait."""
    monkeypatch.setattr(TextFeed, "MAX_BYTES", 20_000)
    clock, fan_out, feed = feed_of(VIDEO)
    push(feed, *group(0, 300, size=1000))
    viewer = Viewer(feed, fan_out, PlainTransport())
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, "[video 1]", *names(0, 300)]
    push(feed, *group(12_000, size=1000))
    assert feed.end - feed.start <= 21


def test_the_ring_forgets_what_is_old() -> None:
    """Packets older than 4 s are gone once there is a newer key frame, however small they are."""
    _, _, feed = feed_of(VIDEO)
    for start in range(0, 20_000, 200):
        push(feed, *group(start))
    assert feed.end - feed.start <= 4000 // 40 + 6
    assert Feed.MAX_DURATION == 4 * SECOND


def test_a_cursor_closed_during_a_pass() -> None:
    """A viewer that is taken out while the others are being served gets nothing more, and the others get everything."""
    clock, fan_out, feed = feed_of(VIDEO)
    viewers = [Viewer(feed, fan_out, PlainTransport()) for _ in range(3)]
    push(feed, *group(0))
    clock.advance(0.1)
    first = viewers[0].transport
    take = first.kernel_takes

    def and_close(data: bytes) -> int:
        viewers[1].cursor.close()
        taken: int = take(data)
        return taken

    first.kernel_takes = and_close
    push(feed, *group(200))
    clock.advance(0.1)
    assert [len(viewer.tokens) for viewer in viewers] == [12, 7, 12]
    assert feed.viewers == 2
    viewers[1].cursor.close()


def test_an_outlet_aborted_in_mid_batch() -> None:
    """A connection that breaks while it is sent to is given up; the others of the pass are served."""
    clock, fan_out, feed = feed_of(VIDEO)
    viewers = [Viewer(feed, fan_out, PlainTransport()) for _ in range(3)]
    push(feed, *group(0))
    clock.advance(0.1)
    viewers[1].transport.broken = True
    for start in (200, 400):
        push(feed, *group(start, size=100_000))
        clock.advance(0.1)
    assert viewers[1].transport.aborted
    assert not viewers[1].outlet.open
    assert viewers[0].tokens == viewers[2].tokens == [HELLO, "[video 1]", *names(0), *names(200), *names(400)]


@pytest.mark.parametrize("transport", [PlainTransport, PushTransport])
def test_control_messages_come_between_packets(transport: Any) -> None:
    """While a packet is half sent, a control message waits behind it, and the stream goes on behind that."""
    clock, fan_out, feed = feed_of(VIDEO)
    viewer = Viewer(feed, fan_out, transport())
    push(feed, *group(0))
    clock.advance(0.1)
    viewer.transport.room = 1000
    push(feed, frame(VIDEO, 200, key=True, size=100_000))
    clock.advance(0.1)
    viewer.outlet.write(b"{pong}")
    push(feed, frame(VIDEO, 240))
    clock.advance(0.1)
    viewer.transport.read()
    clock.advance(0.1)
    assert viewer.tokens == [HELLO, "[video 1]", *names(0), "<video 200>", "{pong}", "<video 240>"]


def test_several_cursors_share_one_outlet() -> None:
    """One connection may have several streams; each comes in its own order, none torn by another."""
    clock, fan_out, one = feed_of(VIDEO)
    _, _, two = feed_of(AUDIO, clock=clock)
    two.ready = {lane: {} for lane in one.ready}
    two._lanes = one._lanes
    viewer = Viewer(one, fan_out, PlainTransport(room=500))
    second = Cursor(two, viewer.outlet)
    for start in range(0, 2000, 200):
        push(one, *group(start, size=100))
        push(two, frame(AUDIO, start))
        clock.advance(0.1)
        viewer.transport.read(300)
    viewer.transport.read()
    clock.advance(0.1)
    assert [token for token in viewer.tokens if "video" in token and token[0] == "<"] == names(0, 50)
    assert [token for token in viewer.tokens if "audio" in token and token[0] == "<"] == [
        f"<audio {ms}>" for ms in range(0, 2000, 200)
    ]
    second.close()
    viewer.cursor.close()
    viewer.outlet.close()
    assert one.ready == {lane: {} for lane in one.ready}
    assert one.viewers == 0


def test_viewers_in_step_share_their_bytes() -> None:
    """What is sent to a thousand viewers in step is one object, made once."""
    clock, fan_out, feed = feed_of(VIDEO)
    viewers = [Viewer(feed, fan_out, PlainTransport()) for _ in range(3)]
    push(feed, *group(0))
    clock.advance(0.1)
    push(feed, *group(200))
    position = viewers[0].cursor.position
    assert feed.batch(position) is feed.batch(position)
    clock.advance(0.1)
    assert [viewer.transport.sends for viewer in viewers] == [viewers[0].transport.sends] * 3


def test_data_counts_neither_as_sound_nor_as_picture() -> None:
    """Data messages are delivered, and not counted as packets of a track."""
    clock, fan_out, feed = feed_of(VIDEO, DATA)
    viewer = Viewer(feed, fan_out, PlainTransport())
    push(feed, *group(0), frame(DATA, 170))
    clock.advance(0.1)
    assert viewer.tokens[-1] == "<data 170>"
    assert viewer.cursor.delivered.video_packets == 5
    assert viewer.cursor.delivered.audio_packets == 0


@pytest.mark.parametrize("transport", [PlainTransport, PushTransport])
@pytest.mark.parametrize("seed", range(40))
def test_any_reader_gets_whole_packets_in_order(seed: int, transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of any speed, control messages and new configurations at any time: order, gaps, headers and counts are right."""
    chance = random.Random(seed)
    monkeypatch.setattr(TextFeed, "MAX_BYTES", chance.choice((3000, 20_000, 200_000)))
    monkeypatch.setattr(TextFeed, "BATCH_BYTES", chance.choice((100, 2000, 128 << 10)))
    clock, fan_out, feed = feed_of(VIDEO, AUDIO)
    viewers = [Viewer(feed, fan_out, transport(room=chance.choice((0, 100, 5000, 1 << 30)))) for _ in range(4)]
    tracks = (VIDEO, AUDIO)
    ms = 0
    for _ in range(400):
        match chance.randrange(12):
            case 0:
                viewer = chance.choice(viewers)
                viewer.outlet.write(b"{control}")
            case 1 | 2:
                viewer = chance.choice(viewers)
                viewer.transport.read(chance.choice((1, 50, 700, 5000, 100_000)))
            case 3 if chance.randrange(8) == 0:
                video, audio = chance.choice((VIDEO, NEW_VIDEO)), chance.choice((AUDIO, NEW_AUDIO))
                if video is not tracks[0]:
                    ms = ms // 400 * 400 + 400
                tracks = (video, audio)
                feed.tracks_changed(tracks)
            case 4:
                push(feed, frame(tracks[1], ms, size=chance.randrange(20, 200)))
            case _:
                push(feed, frame(tracks[0], ms, key=ms % 400 == 0, size=chance.randrange(20, 3000)))
                ms += 40
        clock.advance(chance.choice((0, 0.01, 0.06, 0.2)))
    for viewer in viewers:
        for _ in range(3):
            viewer.transport.read()
            clock.advance(0.2)
    for viewer in viewers:
        _check(viewer)
    ready = [viewer for viewer in viewers if viewer.cursor._hungry is False]
    assert all(viewer.cursor.position == feed.end for viewer in ready)


def _check(viewer: Viewer) -> None:
    tokens = viewer.tokens
    videos = [_ms(token) for token in tokens if token.startswith("<video")]
    assert videos == sorted(set(videos))
    for before, after in zip([-40, *videos], videos, strict=False):
        assert after == before + 40 or after % 400 == 0
    media = [token for token in tokens if token[0] != "{"]
    assert not media or media[0][0] == "["
    totals = viewer.cursor.delivered
    assert totals.video_packets == len(videos)
    assert totals.audio_packets == len([token for token in tokens if token.startswith("<audio")])
    packets = re.findall(rb"<video[^>]*>\.*", viewer.transport.received)
    assert totals.video_bytes == sum(map(len, packets))
    assert viewer.cursor.dropped.video_packets >= 0
    assert viewer.bytes_sent == len(viewer.transport.received)


def _ms(token: str) -> int:
    found = re.search(r"\d+", token) if token[0] == "<" else None
    return int(found.group()) if found else -40


class PairFeed(TextFeed):
    """Sound waits for a second piece of it."""

    waiting: Frame | None = None

    def packet(self, frame: Frame) -> bytes:
        before, self.waiting = self.waiting, None
        if before is None:
            self.waiting = frame
            return b""
        self.count((before,))
        return before.data + frame.data

    def flush(self) -> None:
        """Send what waits."""
        if self.waiting is not None:
            self.put(self.waiting.data, (self.waiting,))


def test_frames_that_wait_for_others_are_counted_when_they_go_out() -> None:
    """A format may put several frames into one packet: every one of them counts, once, and a late joiner can begin with it."""
    clock = Clock()
    fan_out = FanOut(clock)
    feed = PairFeed(fan_out)
    feed.tracks_changed((AUDIO,))
    early = Viewer(feed, fan_out, PlainTransport())
    push(feed, *(frame(AUDIO, at) for at in (0, 20, 40)))
    clock.advance(0.1)
    assert early.cursor.delivered.audio_packets == 2
    feed.flush()
    late = Viewer(feed, fan_out, PlainTransport())
    clock.advance(0.1)
    assert early.cursor.delivered.audio_packets == 3
    assert late.tokens == [HELLO, HEADERS_OF_SOUND, "<audio 40>"]


def test_kinds_of_tracks_are_what_the_tests_think() -> None:
    """The frames of these tests lead with pictures."""
    assert [track.kind for track in (VIDEO, AUDIO, DATA)] == [Kind.VIDEO, Kind.AUDIO, Kind.DATA]
