"""Which events a sink gets, and what is never in them."""

from ems.events.concealment import HIDDEN, concealed
from ems.events.names import EVENTS, ONLY_OUTSIDE, ONLY_WHEN_NAMED, OUTSIDE, selection


def all_names() -> list[str]:
    return [name for names in EVENTS.values() for name in names]


def test_there_are_68_events() -> None:
    """The documents' list, each name once."""
    assert len(all_names()) == len(set(all_names())) == 68
    assert set(all_names()) >= ONLY_WHEN_NAMED | OUTSIDE


def test_all_is_not_everything() -> None:
    """Without enabledEvents a sink gets all but those that only come when they are named, and those of a plugin."""
    wants = selection(None, outermost=False)
    left_out = {name for name in all_names() if not wants(name)}
    assert left_out == ONLY_WHEN_NAMED | ONLY_OUTSIDE
    assert {"playlistItemStart", "firstPlaylistItemStart", "lastPlaylistItemStart"} < left_out
    assert {"playerJoinedRoom", "outStreamFirstFrameSent"} < left_out
    assert wants("eventOfAPlugin")


def test_named_events_are_exactly_these() -> None:
    """enabledEvents counts letter by letter; server events can be named, too."""
    wants = selection(("inStreamCreated", "serverStarted"), outermost=False)
    assert [name for name in all_names() if wants(name)] == ["inStreamCreated", "serverStarted"]
    assert not wants("instreamcreated")


def test_the_outermost_logger_gets_what_happens_outside() -> None:
    """Server and application coming and going, and sockets; nothing of streams."""
    assert {name for name in all_names() if selection(None, outermost=True)(name)} == OUTSIDE
    wants = selection(("inStreamCreated", "serverStopping"), outermost=True)
    assert [name for name in all_names() if wants(name)] == ["serverStopping"]
    assert selection(None, outermost=False)("serverStopping")


def test_passwords_do_not_get_out() -> None:
    """Neither those of parameters nor those in addresses, wherever they stand."""
    told = {
        "uri": "rtsp://ann:s:e@c/ret@192.0.2.7/cam",
        "arguments": ["-i", "rtmp://ann:secret@host/live"],
        "password": "secret",
        "privateStreamName": "secret",
        "ingestPoint": "secret",
        "Token": "",
        "plain": "http://192.0.2.7:8080/a@b",
        "nested": {"secret": "secret", "number": 5},
    }
    assert concealed(told) == {
        "uri": f"rtsp://ann:{HIDDEN}@c/ret@192.0.2.7/cam",
        "arguments": ["-i", f"rtmp://ann:{HIDDEN}@host/live"],
        "password": HIDDEN,
        "privateStreamName": HIDDEN,
        "ingestPoint": HIDDEN,
        "Token": "",
        "plain": "http://192.0.2.7:8080/a@b",
        "nested": {"secret": HIDDEN, "number": 5},
    }
