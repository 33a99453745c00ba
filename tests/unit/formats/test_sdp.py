"""SDP: what cameras and encoders write is read, what is written is read again, and nothing passes a limit."""

import os

import pytest

from ems.errors import LocalProtocolError, MalformedData
from ems.formats import sdp
from ems.formats.rtp.sounds import g711_track, opus_track
from ems.media import aac, ac3, av1, h264, h265, mp3
from ems.media.track import Codec, Kind, Track
from tests.unit.media import vectors
from tests.unit.media.mutation import mutated, prefixes, refusals

MUTATIONS = int(os.environ.get("EMS_MUTATIONS", "3000"))

CAMERA = b"""v=0\r
o=- 1109162014219182 1 IN IP4 192.0.2.64\r
s=Media Presentation\r
e=NONE\r
b=AS:5050\r
t=0 0\r
a=control:rtsp://192.0.2.64/Streaming/Channels/1/\r
a=range:npt=0-\r
m=video 0 RTP/AVP 96\r
c=IN IP4 239.0.0.1/64/2\r
b=AS:5000\r
a=recvonly\r
a=x-dimensions:640,360\r
a=control:rtsp://192.0.2.64/Streaming/Channels/1/trackID=1\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z2QAHqzZQKAv+XARAAADAAEAAAMAPA8WLZY=,aOvjyyLA\r
m=audio 0 RTP/AVP 0 104\r
a=rtpmap:104 mpeg4-generic/16000/1\r
a=fmtp:104 profile-level-id=15; streamtype=5; mode=AAC-hbr; config=1408;SizeLength=13; IndexLength=3; IndexDeltaLength=3;\r
a=Media_header:MEDIAINFO=494D4B48\r
m=application 0 RTP/AVP 107\r
a=rtpmap:107 vnd.onvif.metadata/90000\r
"""

TRACKS = [
    h264.make_track(0, vectors.AVCC_HIGH),
    h265.make_track(0, vectors.HVCC_MAIN),
    aac.make_track(1, vectors.ASC_STEREO),
    opus_track(1),
    g711_track(1, Codec.G711A),
    g711_track(1, Codec.G711U, 16_000, 2),
]


def first(text: str) -> sdp.Media:
    """The first medium of a description."""
    return sdp.parse(text).medias[0]


def test_a_camera_is_understood() -> None:
    """Picture, sound and addresses are found in what a real device writes."""
    session = sdp.parse(CAMERA)
    video, audio, metadata = session.medias
    assert (session.name, session.range, session.bandwidths) == ("Media Presentation", "npt=0-", {"AS": 5050})
    assert session.control == "rtsp://192.0.2.64/Streaming/Channels/1/"
    assert (video.kind, video.control[-9:], video.direction, video.bandwidths) == ("video", "trackID=1", "recvonly", {"AS": 5000})
    assert session.connection_of(video) == sdp.Connection("IP4", "239.0.0.1", 64)
    assert video.frame_size == (640, 360)
    track = sdp.track_of(video, 3)
    assert track is not None
    assert (track.id, track.codec, track.width, track.height) == (3, Codec.H264, 640, 360)
    assert sdp.chosen_type(audio) == (0, sdp.RtpMap("PCMU", 8000), Codec.G711U)
    assert audio.fmtp(104)["sizelength"] == "13"
    assert sdp.track_of(metadata) is None


@pytest.mark.parametrize("track", TRACKS, ids=lambda track: f"{track.codec.value} {track.sample_rate}")
def test_a_track_that_is_described_is_the_same_track(track: Track) -> None:
    """What one server describes another reads, to the last bit of its configuration."""
    media = sdp.media_of(track, 97, control="trackID=1")
    assert media is not None
    read = sdp.parse(bytes(sdp.SessionDescription(name="stream", medias=[media]))).medias[0]
    again = sdp.track_of(read, track.id)
    assert again is not None
    assert (again.codec, again.config, again.sample_rate, again.channels) == (
        track.codec,
        track.config,
        track.sample_rate,
        track.channels,
    )
    assert read.control == "trackID=1"


def test_a_whole_description_survives() -> None:
    """Every line that is written is read again as it was."""
    session = sdp.SessionDescription(
        name="live stream ü",
        origin="- 17 0 IN IP4 192.0.2.1",
        information="about it",
        uri="http://example.org/",
        email="me@example.org",
        connection=sdp.Connection("IP4", "239.1.2.3", 32),
        bandwidths={"AS": 2500},
        attributes=[("recvonly", ""), ("control", "*"), ("range", "npt=now-")],
        medias=[sdp.transport_stream_media(control="trackID=1"), sdp.Media("audio", 5004, "RTP/AVP", ("0", "8"), title="sound")],
    )
    text = str(session)
    assert text.startswith("v=0\r\no=- 17 0 IN IP4 192.0.2.1\r\ns=live stream ü\r\ni=about it\r\n")
    assert sdp.parse(bytes(session)) == session
    assert sdp.parse(text).direction == "recvonly"


@pytest.mark.parametrize(
    ("track", "rtpmap", "fmtp"),
    [
        (
            h264.make_track(0, vectors.AVCC_HIGH),
            "H264/90000",
            "packetization-mode=1;profile-level-id=64001E;sprop-parameter-sets=Z2QAHqzZQKAv+XARAAADAAEAAAMAPA8WLZY=,aOvjyyLA",
        ),
        (
            aac.make_track(0, vectors.ASC_STEREO),
            "mpeg4-generic/44100/2",
            "streamtype=5;profile-level-id=41;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=121056e500",
        ),
        (av1.make_track(0, vectors.AV1C), "AV1/90000", "profile=0;level-idx=1;tier=0"),
        (mp3.make_track(0, vectors.MP3_STEREO), "MPA/90000", ""),
        (ac3.make_track(0, vectors.AC3_5_1), "AC3/48000/6", ""),
        (ac3.make_track(0, vectors.EAC3_STEREO), "EAC3/44100/2", ""),
        (Track(0, Kind.VIDEO, Codec.VP8), "VP8/90000", ""),
        (opus_track(0), "opus/48000/2", "sprop-stereo=1"),
    ],
    ids=lambda value: value.codec.value if isinstance(value, Track) else "",
)
def test_a_track_is_described_as_its_payload_format_wants(track: Track, rtpmap: str, fmtp: str) -> None:
    """Players find what they look for, under the names that the standards give it."""
    payload_type = sdp.payload_type_of(track, 96)
    media = sdp.media_of(track, 96)
    assert media is not None
    assert media.formats == (str(payload_type),)
    assert media.attribute("rtpmap") == f"{payload_type} {rtpmap}"
    assert (media.attribute("fmtp") or "").partition(" ")[2] == fmtp


def test_static_payload_types_are_used_where_there_are_any() -> None:
    """G.711 of 8 kHz and MP3 have their own numbers; G.711 of another rate has not."""
    assert sdp.payload_type_of(g711_track(0, Codec.G711U), 96) == 0
    assert sdp.payload_type_of(g711_track(0, Codec.G711A), 96) == 8
    assert sdp.payload_type_of(mp3.make_track(0, vectors.MP3_STEREO), 96) == 14
    assert sdp.payload_type_of(g711_track(0, Codec.G711A, 16_000), 96) == 96


def test_what_no_payload_format_carries_is_not_described() -> None:
    """The track is left out."""
    assert sdp.media_of(Track(0, Kind.VIDEO, Codec.FLV_VP6), 96) is None
    assert sdp.media_of(Track(0, Kind.AUDIO, Codec.AAC), 96) is None
    assert sdp.media_of(Track(0, Kind.VIDEO, Codec.H264, b"nonsense"), 96) is None


def test_transport_streams_are_told_apart() -> None:
    """Payload type 33 needs no name; another one with the name will do."""
    assert first("m=video 0 RTP/AVP 33\n").is_transport_stream
    assert first("m=video 0 udp 33\n").is_transport_stream
    assert first("m=video 0 RTP/AVP 96\na=rtpmap:96 mp2t/90000\n").is_transport_stream
    assert not first("m=video 0 RTP/AVP 96\n").is_transport_stream


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "=",
        "m=",
        "m=video",
        "m=video x RTP/AVP 96",
        "m=video 99999 RTP/AVP 96",
        "c=IN",
        "c=",
        "b=AS:many",
        "a=",
        "ab=c",
    ],
)
def test_broken_lines_are_passed_over(line: str) -> None:
    """One line that makes no sense does not cost a stream."""
    text = f"v=0\ns=x\n{line}\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n{line}\n"
    assert [sdp.chosen_type(media) for media in sdp.parse(text).medias] == [(96, sdp.RtpMap("H264", 90_000), Codec.H264)]


@pytest.mark.parametrize(
    "value", ["H264/0", "H264/-1", "H264", "H264/", "H264/99999999", "H264/x", "/90000", "H264/90000/0", "H264/90000/x", "H264/²"]
)
def test_impossible_clocks_and_channels_are_no_clocks_and_channels(value: str) -> None:
    """No clock of zero ever divides anything."""
    assert first(f"m=video 0 RTP/AVP 96\na=rtpmap:96 {value}\n").rtpmap(96) is None


def test_any_line_end_and_any_text_will_do() -> None:
    """Old cameras end lines as they like and write Latin-1."""
    for end in ("\r\n", "\n", "\r"):
        assert len(sdp.parse(CAMERA.replace(b"\r\n", end.encode())).medias) == 3
    assert sdp.parse(b"s=caf\xe9\n").name == "café"


def test_parameter_sets_with_padding_missing_or_start_codes_are_read() -> None:
    """Devices that do not know base64 well are understood; what is none is passed over."""
    record = h264.AvcConfiguration.parse(vectors.AVCC_HIGH)
    text = "Z2QAHqzZQKAv+XARAAADAAEAAAMAPA8WLZY,,!?,AAAAAWjr48siwA=="
    assert sdp.parameter_sets({"sprop-parameter-sets": text}) == [*record.sps, *record.pps]


def test_aac_without_a_configuration_is_taken_to_be_plain() -> None:
    """Rate and channels of the rtpmap say enough."""
    track = sdp.track_of(first("m=audio 0 RTP/AVP 96\na=rtpmap:96 mpeg4-generic/48000/2\n"))
    assert track is not None
    assert (track.sample_rate, track.channels, track.config) == (48_000, 2, bytes.fromhex("1190"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("10 000 media", b"m=video 0 RTP/AVP 96\n" * 10_000),
        ("more media than there are", b"m=video 0 RTP/AVP 96\n" * (sdp.MAX_MEDIAS + 1)),
        ("1 MiB of parameter sets", b"m=video 0 RTP/AVP 96\na=fmtp:96 sprop-parameter-sets=" + b"A" * (1 << 20)),
        ("a line that is too long", b"a=" + b"x" * sdp.MAX_LINE),
        ("too many lines", b"\n" * sdp.MAX_LINES),
    ],
)
def test_a_description_that_is_too_large_is_refused(name: str, data: bytes) -> None:
    """Memory and time are bounded."""
    with pytest.raises(MalformedData):
        sdp.parse(data)


def test_a_line_end_in_a_value_is_never_written() -> None:
    """Nobody smuggles a line into a description by the name of a stream."""
    with pytest.raises(LocalProtocolError):
        str(sdp.SessionDescription(name="stream\r\nm=video 0 RTP/AVP 96"))


def test_damaged_descriptions_raise_nothing_else() -> None:
    """Whatever a peer describes, it is read or refused."""

    def read(data: bytes) -> None:
        session = sdp.parse(data)
        for media in session.medias:
            sdp.track_of(media)
            _ = media.frame_size, media.is_transport_stream, session.connection_of(media)

    refusals(read, prefixes(CAMERA))
    assert refusals(read, mutated([CAMERA], MUTATIONS))[0]
