"""Transport streams in the words of the model and of the runtime API."""

import pytest

from ems.formats.mpegts.mux import carried
from ems.media.track import Kind
from ems.protocols.mpegts.mapping import UNTOUCHED, untouched_name
from ems.protocols.rtmp.mapping import playable


@pytest.mark.parametrize(("asked", "name"), [("cam", "cam_ts"), ("cam_ts", "cam_ts"), ("a/b", "a/b_ts")])
def test_untouched_streams_are_recognised_by_their_names(asked: str, name: str) -> None:
    """They end in `_ts`, once."""
    assert untouched_name(asked) == name


def test_only_transport_streams_take_untouched_packets() -> None:
    """Players of other protocols are not sent packets that they could not read, and nobody tries to mux them."""
    assert playable((UNTOUCHED,), frozenset((Kind.AUDIO, Kind.VIDEO)), frozenset(), multitrack=True) == ()
    assert carried((UNTOUCHED,)) == ()
