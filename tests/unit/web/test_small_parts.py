"""Types of files, compression, names of groups."""

import gzip

import pytest

from ems.config.web import MimeType
from ems.errors import CommandError
from ems.web.access import basic_credentials
from ems.web.aliases import GroupAliases
from ems.web.coding import Compressor, accepts_gzip
from ems.web.mime import MimeTable


def test_playlists_have_the_type_of_the_standard() -> None:
    """Apple's players take no other; RFC 8216 §4."""
    kind = MimeTable().of("playlist.M3U8")
    assert (kind.mime, kind.stream_type, kind.is_manifest) == ("application/vnd.apple.mpegurl", "hls", True)


def test_the_configuration_goes_before_the_built_in_types() -> None:
    """An old player that wants another type gets it."""
    table = MimeTable([MimeType("m3u8, m3u", "audio/x-mpegurl", "hls", True), MimeType("xyz", "video/xyz")])
    assert table.of("a.m3u8").mime == "audio/x-mpegurl"
    assert table.of("a.m3u8").compressible
    assert table.of("a.xyz").media
    assert table.of("a.ts").mime == "video/mp2t"
    assert table.of("README").mime == "application/octet-stream"


def test_how_long_files_may_be_kept() -> None:
    """Playlists change, segments never do, pages are asked about each time."""
    table = MimeTable()
    assert table.of("p.m3u8").cache_control == table.of("index.html").cache_control == "no-cache"
    assert "immutable" in table.of("segment_1.ts").cache_control
    assert table.of("segment_1.ts")._replace(growing=True).cache_control == "no-cache"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p.m3u8", "private, no-cache"),
        ("index.html", "private, no-cache"),
        ("segment_1.ts", "private, max-age=31536000, immutable"),
        ("segment_1.m4s", "private, max-age=60"),
        ("film.mp4", "private, max-age=3600"),
        ("a.key", "no-store"),
    ],
)
def test_what_not_everybody_may_have_is_kept_by_the_client_alone(name: str, expected: str) -> None:
    """No shared cache keeps it; a key is kept by nobody."""
    assert MimeTable([MimeType("key", "application/x-key", "hls")]).of(name)._replace(protected=True).cache_control == expected


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("gzip", True),
        ("br, GZip; q=0.5", True),
        ("gzip;q=0", False),
        ("identity", False),
    ],
)
def test_who_accepts_gzip(header: str | None, accepted: bool) -> None:
    """By the header Accept-Encoding, in any case."""
    assert accepts_gzip(header) is accepted


def test_what_is_fetched_by_many_is_compressed_once() -> None:
    """The second viewer of a playlist gets the same bytes."""
    compressor = Compressor()
    data = b"#EXTINF:2\nsegment.ts\n" * 100
    assert gzip.decompress(compressor(data)) == data
    assert compressor(data) is compressor(data)


def test_aliases_of_groups() -> None:
    """One name, one group; what is taken, empty or no path is refused."""
    aliases = GroupAliases(enabled=True)
    aliases.add("tonight", "show")
    assert [(alias.name, alias.group) for alias in aliases] == [("tonight", "show")]
    assert aliases.hides("show")
    for name, group in (("tonight", "other"), ("", "show"), ("x", ""), ("../x", "show"), ("x", "../../etc")):
        with pytest.raises(CommandError):
            aliases.add(name, group)
    aliases.remove("tonight")
    assert not aliases.hides("show")
    with pytest.raises(CommandError):
        aliases.remove("tonight")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Basic dXNlcjpwYTpzcw==", ("user", "pa:ss")),
        ("basic dXNlcjo=", ("user", "")),
        (None, None),
        ("Basic", None),
        ("Basic ????", None),
        ("Basic /////w==", None),
        ("Bearer dXNlcjpwYXNz", None),
        ("Basic dXNlcg==", None),
    ],
)
def test_names_and_passwords(header: str | None, found: tuple[str, str] | None) -> None:
    """RFC 7617; what is none of it is no password, and no error."""
    assert basic_credentials(header) == found
