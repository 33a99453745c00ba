"""A configuration loads with everything it says, or every mistake in it is told at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.config import AcceptorConfig, Config, ConfigError, LogAppender, load_config, parse_config

HERE = Path(__file__).parent
PROTOCOLS = ("inboundRtmp", "inboundRtmps", "inboundJsonCli", "inboundAsciiCli", "inboundHttpJsonCli")


def table(**application: Any) -> dict[str, Any]:
    """The table of a configuration whose application has the given keys beside its name."""
    return {"applications": [{"name": "evostreamms", **application}]}


def parse(values: dict[str, Any], **options: Any) -> Config:
    return parse_config(values, "config.lua", **options)


def problems(values: dict[str, Any], **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(values, **options)
    return caught.value.problems


def rtmp(**keys: Any) -> dict[str, Any]:
    return {"ip": "0.0.0.0", "port": 1935, "protocol": "inboundRtmp", **keys}


@pytest.fixture
def original(tmp_path: Path) -> Callable[[str], Config]:
    """Loads one of the original's configurations in a copy of its installation: folders beside ``bin``."""
    for folder in ("bin", "config", "logs", "media/films", "media/meta"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("server.key", "server.cert", "users.lua"):
        (tmp_path / "config" / file).touch()
    return lambda name: load_config(HERE / name, directory=tmp_path / "bin")


def test_a_configuration_of_the_2_0_generation_loads_unchanged(original: Callable[[str], Config]) -> None:
    """Someone who comes from the original keeps the file."""
    config = original("original_2_0.lua")
    application = config.application
    assert config.warnings == ()
    assert [line.split(": ")[1].removeprefix("applications[1].") for line in config.notes] == [
        "acceptors[5].clustering",
        "acceptors[6].clustering",
        "mediaStorage.sample.metaFolder",
        "mediaStorage.sample.seekGranularity",
        "mediaStorage.recordedStreamsStorage",
        "webrtc",
        "authentication.rtmp.encoderAgents",
    ]
    assert (application.name, application.aliases) == ("evostreamms", ("er", "live", "vod"))
    assert [acceptor.port for acceptor in application.acceptors[:4]] == [1112, 7777, 1222, 1935]
    assert len(application.acceptors) == 14
    assert application.acceptors[6].multicast is not None
    assert application.acceptors[6].multicast.ttl == 127
    assert [storage.name for storage in application.media_storage.storages] == ["0x00000001", "sample"]
    assert application.media_storage.storages[1].seek_granularity == 0.1
    assert application.auto_hls is not None
    assert application.auto_hls.extra == {"cleanupDestination": True}
    assert application.event_logger is not None
    assert application.event_logger.sinks[0].enabled_events == ("inStreamCreated", "inStreamClosed")
    assert config.log_appenders[1].file_length == 1024 * 1024


def test_a_configuration_of_the_1_7_generation_loads_unchanged(original: Callable[[str], Config]) -> None:
    """The buffers at the top level, as that generation documents them, count where the application gives none."""
    config = original("original_1_7.lua")
    assert config.warnings == ()
    assert [line.split(": ")[1].removeprefix("applications[1].") for line in config.notes] == [
        "acceptors[5].clustering",
        "acceptors[6].clustering",
        "mediaStorage.recordedStreamsStorage",
        "maxRtspOutBuffer",
    ]
    assert config.application.max_rtmp_out_buffer == 512 * 1024
    assert config.application.max_rtsp_out_buffer == 65536
    assert config.application.media_storage.storages[0].client_side_buffer == 20
    assert config.event_logger is not None
    assert config.event_logger.custom_data == 7


def test_all_mistakes_are_told_at_once() -> None:
    """One start shows everything that is wrong, each with its place, in the file's order."""
    values = {
        "daemon": "x",
        "logAppenders": [{"name": "a", "type": "console", "level": "x"}],
        "applications": [
            {
                "aliases": ["live", ""],
                "acceptors": [rtmp(), rtmp(port=99999), rtmp(port="x", ip="300.1.1.1"), {"protocol": "inboundRtmp"}, "no"],
                "mediaStorage": {"mediaFolder": "media"},
                "manhole": 1,
            }
        ],
    }
    assert problems(values) == (
        'config.lua: daemon: expected true or false, got "x"',
        'config.lua: logAppenders[1].level: expected -1–6, got "x"',
        "config.lua: applications[1].name: is missing, expected a string that is not empty",
        "config.lua: applications[1].aliases: expected a list of strings that are not empty, got a table",
        "config.lua: applications[1].acceptors[2].port: expected 1–65535, got 99999",
        'config.lua: applications[1].acceptors[3].ip: expected an IP address or a host name, got "300.1.1.1"',
        'config.lua: applications[1].acceptors[3].port: expected 1–65535, got "x"',
        "config.lua: applications[1].acceptors[4].ip: is missing, expected an IP address or a host name",
        "config.lua: applications[1].acceptors[4].port: is missing, expected 1–65535",
        'config.lua: applications[1].acceptors[5]: expected a table, got "no"',
        "config.lua: applications[1].manhole: expected a table, got 1",
    )


def test_the_text_of_the_error_has_a_line_for_each_problem() -> None:
    """What is printed is readable as it is."""
    error = ConfigError(["a", "b"])
    assert (str(error), error.problems) == ("a\nb", ("a", "b"))
    assert ConfigError("one").problems == ("one",)


@pytest.mark.parametrize(
    ("application", "problem"),
    [
        ({"name": ""}, "applications[1].name: expected a string that is not empty, got"),
        ({"aliases": ["live", "live"]}, 'applications[1].aliases[2]: "live" is a name of the application already'),
        ({"aliases": ["evostreamms"]}, 'aliases[1]: "evostreamms" is a name'),
        ({"acceptors": [rtmp(ip="bad host")]}, "acceptors[1].ip: expected an IP address"),
        ({"acceptors": [rtmp(ip="")]}, "acceptors[1].ip: expected an IP address"),
        ({"acceptors": [rtmp(port=0)]}, "acceptors[1].port: expected 1–65535, got 0"),
        ({"acceptors": [rtmp(port=True)]}, "acceptors[1].port: expected 1–65535, got true"),
        ({"acceptors": [rtmp(port=1.5)]}, "acceptors[1].port: expected 1–65535, got 1.5"),
        ({"acceptors": [rtmp(protocol=None)]}, "acceptors[1].protocol: is missing"),
        ({"acceptors": [rtmp(sslKey="k")]}, "acceptors[1].sslCert: is missing"),
        ({"acceptors": [rtmp(sslCert="c")]}, "acceptors[1].sslKey: is missing"),
        ({"acceptors": [rtmp(multicast={"ttl": 0})]}, "acceptors[1].multicast.ip: is missing"),
        ({"acceptors": rtmp()}, "acceptors: expected a list of tables, got a table with names"),
        ({"authentication": {"rtmp": {"type": "digest", "usersFile": "u"}}}, 'rtmp.type: expected "adobe", got "digest"'),
        ({"authentication": {"rtmp": {"type": "adobe"}}}, "rtmp.usersFile: is missing, expected a path"),
        ({"authentication": {"rtsp": {"usersFile": "u"}}}, 'rtsp.usersFile: no such file: "u"'),
        (
            {"authentication": {"rtmp": {"type": "adobe", "usersFile": "u", "verifierUri": "http://x/"}}},
            "rtmp.verifierUri: is not in this version, and publishers would not be verified",
        ),
        ({"acceptors": [{"path": "run/api", "protocol": "inboundJsonCli"}]}, "acceptors[1].path: Unix sockets are not in this"),
        ({"acceptors": [rtmp(path="run/rtmp")]}, "acceptors[1].path: Unix sockets are not in this"),
        ({"eventLogger": {"sinks": [{"type": "rpc"}]}}, "sinks[1].url: is missing, and a sink of type RPC needs it"),
        ({"eventLogger": {"sinks": [{"type": "file"}]}}, "sinks[1].filename: is missing"),
        ({"eventLogger": {"sinks": [{"type": "RPC", "url": "file:///etc"}]}}, "sinks[1].url: expected an http://"),
        ({"eventLogger": {"sinks": [{"type": "console", "fileChunkTime": "25:00"}]}}, "fileChunkTime: expected a time of day"),
        ({"hlsVersion": 7}, "hlsVersion: expected 3–6, got 7"),
        ({"streamsExpireTimer": -1}, "streamsExpireTimer: expected a whole number of at least 0, got -1"),
        ({"description": "a\0b"}, "description: expected a string, got"),
        ({"Default": True, "default": True}, "is given twice, in two spellings of default"),
    ],
)
def test_a_wrong_value_stops_the_start(application: dict[str, Any], problem: str, tmp_path: Path) -> None:
    """What the server cannot do without is told with key, expectation and value."""
    assert any(problem in line for line in problems(table(**application), directory=tmp_path))


@pytest.mark.parametrize("values", [{}, {"applications": {}}, {"applications": {"rootDirectory": "x"}}])
def test_a_server_without_an_application_does_not_start(values: dict[str, Any]) -> None:
    """There is nothing to run, and the message says so."""
    assert problems(values) == ("config.lua: applications: holds no application",)


def test_one_application_is_all_that_runs() -> None:
    """A second application would be silent, so it is refused with the way out."""
    (problem,) = problems({"applications": [{"name": "a"}, {"name": "b"}]})
    assert problem == "config.lua: applications[2]: one application is all that the server runs: make its name an alias"


def test_names_are_understood_in_any_case() -> None:
    """APPLICATIONS and maxrtmpoutbuffer are what they look like."""
    config = parse({"APPLICATIONS": [{"Name": "x", "MAXRTMPOUTBUFFER": 7, "acceptors": [{**rtmp(), "Port": 1}][1:]}]})
    assert config.application.max_rtmp_out_buffer == 7


def test_an_unknown_name_is_reported_with_the_one_that_was_meant() -> None:
    """A slip of the pen does not pass unnoticed, and does not stop the start."""
    config = parse(table(hasStreamAlias=True, _mine=1, zzz=1, acceptors=[rtmp(sslCerts=1, streamType=2)]))
    assert config.warnings == (
        "config.lua: applications[1].acceptors[1].sslCerts: is not a key that the server knows; did you mean sslCert?",
        "config.lua: applications[1].hasStreamAlias: is not a key that the server knows; did you mean hasStreamAliases?",
        "config.lua: applications[1].zzz: is not a key that the server knows",
    )


def test_a_forgotten_name_is_reported() -> None:
    """``{ "live" }`` in the place of ``aliases = { "live" }`` is a value that nothing reads."""
    assert "applications[1][1]: expected a table" not in str(parse({"applications": [{"name": "x", "0x00000001": 5}]}).warnings)
    assert parse({"applications": [{"name": "x", "0x00000001": 5}]}).warnings == (
        "config.lua: applications[1][1]: is a value without a name, and ignored",
    )


def test_an_acceptors_own_keys_reach_its_protocol() -> None:
    """A plugin's protocol finds its settings under the names that the file gives them."""
    config = parse(table(acceptors=[rtmp(myPlugin={"depth": 3})]))
    assert config.application.acceptors[0].extra == {"myPlugin": {"depth": 3}}
    assert config.warnings == ()


def test_an_unknown_protocol_is_skipped_with_a_warning() -> None:
    """A file that names doors of a later version still starts with those of this one."""
    config = parse(table(acceptors=[rtmp(protocol="inboundFax"), rtmp(protocol="INBOUNDRTMP")]), known_protocols=PROTOCOLS)
    assert [acceptor.protocol for acceptor in config.application.acceptors] == ["inboundRtmp"]
    assert config.warnings == (
        'config.lua: applications[1].acceptors[1].protocol: "inboundFax" is not a protocol that the server knows; skipped',
    )


def test_rtmp_with_a_certificate_is_rtmps(tmp_path: Path) -> None:
    """The shipped way of switching RTMPS on."""
    (tmp_path / "k").touch()
    (tmp_path / "c").touch()
    values = table(acceptors=[rtmp(sslKey="k", sslCert="c")])
    (acceptor,) = parse(values, known_protocols=PROTOCOLS, directory=tmp_path).application.acceptors
    assert (acceptor.protocol, acceptor.tls) == ("inboundRtmps", True)


def test_a_missing_certificate_costs_its_acceptor_alone(tmp_path: Path) -> None:
    """Without its files an RTMPS door is left out with a warning, and all others open."""
    values = table(acceptors=[rtmp(port=4443, sslKey="k", sslCert="c"), rtmp()])
    config = parse(values, directory=tmp_path)
    assert [acceptor.port for acceptor in config.application.acceptors] == [1935]
    warning = 'config.lua: applications[1].acceptors[1].sslKey: no such file: "k"; the acceptor is skipped'
    assert config.warnings == (warning,)


def test_an_optional_acceptor_waits_for_its_certificate(tmp_path: Path) -> None:
    """Without the files the stock RTMPS door is left out with one line, and any other start is as usual."""
    values = table(acceptors=[rtmp(port=4443, sslKey="k", sslCert="c", optional=True), rtmp()])
    config = parse(values, directory=tmp_path)
    assert [acceptor.port for acceptor in config.application.acceptors] == [1935]
    assert config.warnings == ()
    assert config.notes == ('config.lua: applications[1].acceptors[1]: inboundRtmps on port 4443 is off: there is no "k"',)


def test_a_unix_socket_of_an_unknown_protocol_is_skipped() -> None:
    """A file that has the original's doors on Unix sockets still starts: they are unknown protocols before all else."""
    config = parse(table(acceptors=[{"path": "run/api", "protocol": "inboundUdsJsonCli"}]), known_protocols=PROTOCOLS)
    assert config.application.acceptors == ()
    assert len(config.warnings) == 1


@pytest.mark.parametrize(
    ("application", "place"),
    [
        ({"autoDASH": {"targetFolder": "web"}}, "autoDASH"),
        ({"serverNameStreamPrefix": "a_"}, "serverNameStreamPrefix"),
        ({"forceRtmpDatarate": True}, "forceRtmpDatarate"),
        ({"runWebUI": False}, "runWebUI"),
        ({"metaFileGenerator": True}, "metaFileGenerator"),
        ({"scanInterval": 5}, "scanInterval"),
        ({"vodRedirectRtmpIp": "192.0.2.1"}, "vodRedirectRtmpIp"),
        ({"transcoder": {"scriptPath": "mine.sh"}}, "transcoder"),
        ({"mediaStorage": {"films": {"mediaFolder": "/", "enableStats": True}}}, "mediaStorage.films.enableStats"),
        (
            {"mediaStorage": {"films": {"mediaFolder": "/", "externalSeekGenerator": True}}},
            "mediaStorage.films.externalSeekGenerator",
        ),
        ({"acceptors": [rtmp(clustering=True)]}, "acceptors[1].clustering"),
    ],
)
def test_who_asks_for_what_is_not_there_is_told(application: dict[str, Any], place: str) -> None:
    """A key that does nothing in this version costs a line at the start, and nothing else."""
    config = parse(table(**application))
    assert (config.warnings, config.notes) == ((), (f"config.lua: applications[1].{place}: is not in this version",))


def test_nobody_is_told_of_what_nobody_asks_for() -> None:
    """The usual values of such keys, as the original shipped them, pass without a word."""
    usual = {
        "runWebUI": True,
        "forceRtmpDatarate": False,
        "vodRedirectRtmpIp": "",
        "transcoder": {"scriptPath": "emsTranscoder.sh"},
    }
    assert parse(table(**usual, acceptors=[rtmp(clustering=False)])).notes == ()


def test_our_own_configuration_asks_for_nothing_that_is_not_there(tmp_path: Path) -> None:
    """A first start has no line about a key."""
    (tmp_path / "media").mkdir()
    config = load_config(HERE.parents[2] / "config/config.lua", directory=tmp_path)
    assert config.warnings == ()
    assert [line for line in config.notes if " is off: there is no " not in line] == []


@pytest.mark.parametrize(
    ("ip", "bound"), [("localhost", "127.0.0.1"), ("::", "::"), ("::1", "::1"), ("host-1.lan", "host-1.lan")]
)
def test_interfaces(ip: str, bound: str) -> None:
    """IPv4, IPv6 and names; localhost is always 127.0.0.1."""
    assert parse(table(acceptors=[rtmp(ip=ip)])).application.acceptors[0].ip == bound


def test_storages_that_cannot_be_used_are_skipped(tmp_path: Path) -> None:
    """A missing folder, one that is used twice or none at all costs that storage, not the server."""
    (tmp_path / "media").mkdir()
    storages = {
        "recordedStreamsStorage": "media",
        "0x00000001": {"mediaFolder": "media", "clientSideBuffer": 0, "seekGranularity": 0.01, "maxPlaylistFileSize": 1},
        "again": {"mediaFolder": "./media/."},
        "gone": {"mediaFolder": "nowhere"},
        "meta": {"mediaFolder": "/", "metaFolder": "nowhere"},
        "none": {},
    }
    config = parse(table(mediaStorage=storages), directory=tmp_path)
    (storage,) = config.application.media_storage.storages
    assert (storage.client_side_buffer, storage.seek_granularity, storage.max_playlist_file_size) == (15, 1.0, 4096)
    assert [line.split(": ", 2)[1:] for line in config.warnings] == [
        ["applications[1].mediaStorage.again", '"./media/." is the folder of another storage; skipped'],
        ["applications[1].mediaStorage.gone", 'no such folder: "nowhere"; skipped'],
        ["applications[1].mediaStorage.meta", 'no such folder: "nowhere"; skipped'],
        ["applications[1].mediaStorage.none", "mediaFolder is missing; skipped"],
    ]


def test_log_appenders_and_sinks_that_cannot_be_used_are_skipped() -> None:
    """An appender of an unknown type, without a name or file, is left out with a warning; a sink likewise."""
    appenders = [
        {"name": "a", "type": "syslog", "level": 3},
        {"type": "console", "level": 3},
        {"name": "c", "type": "file", "level": 3},
        {"name": "d", "type": "COLOREDCONSOLE", "level": -1},
    ]
    values = table(eventLogger={"sinks": [{"type": "kafka", "topic": 1}, {"type": "Console"}]}) | {"logAppenders": appenders}
    config = parse(values)
    assert config.log_appenders == (LogAppender("d", "coloredConsole", -1),)
    assert config.application.event_logger is not None
    assert [sink.type for sink in config.application.event_logger.sinks] == ["console"]
    assert sum("skipped" in line for line in config.warnings) == 4


def test_paths_of_the_application_start_at_its_folder(tmp_path: Path) -> None:
    """appDir is put before relative paths, inner tables included; absolute ones stay."""
    values = table(
        appDir="app",
        authPersistenceFile="/var/auth.xml",
        acceptors=[rtmp(whitelist="w", blacklist="/b")],
        mediaStorage={"recordedStreamsStorage": "media"},
    )
    application = parse(values, directory=tmp_path).application
    assert application.auth_persistence_file == "/var/auth.xml"
    assert application.ingest_points_persistence_file == "app/./ingestpoints.xml"
    assert (application.acceptors[0].whitelist, application.acceptors[0].blacklist) == ("app/w", "/b")
    assert application.media_storage.recorded_streams_storage == "app/media"
    assert application.app_dir == "app"


def test_a_missing_app_dir_is_the_root_directory() -> None:
    """An application without a folder of its own keeps its files where all applications do."""
    assert parse({"applications": {"rootDirectory": "apps", "0x00000001": {"name": "x"}}}).application.app_dir == "apps"


def test_values_outside_a_documented_cap_are_moved_into_it() -> None:
    """rtcpDetectionInterval is capped at 60 s, as the documents say."""
    assert parse(table(rtcpDetectionInterval=90)).application.rtcp_detection_interval == 60


def test_more_processes_than_one_need_daemon_mode() -> None:
    """instancesCount counts in a daemon only, and says so; more than 64 are refused."""
    assert parse(table() | {"instancesCount": 4}).warnings == (
        "config.lua: instancesCount: counts in daemon mode only: one process is started",
    )
    assert parse(table() | {"instancesCount": -1}).warnings == ()
    assert parse(table() | {"instancesCount": 4, "daemon": True}).warnings == ()
    assert "instancesCount: expected a whole number of at most 64" in problems(table() | {"instancesCount": 65})[0]


def test_the_servers_own_keys() -> None:
    """The demonstration clip, the merge delay and the Python console have their defaults and their places."""
    plain = parse(table()).application
    assert (plain.demo_stream, plain.max_merge_delay, plain.manhole.port, plain.manhole.ip) == ("", 100, 0, "127.0.0.1")
    manhole = {"port": 2222, "authorizedKeys": "a", "passwordFile": "p", "hostKey": "h"}
    application = parse(table(demoStream="demo", maxMergeDelay=20, manhole=manhole)).application
    assert (application.demo_stream, application.max_merge_delay) == ("demo", 20)
    assert (application.manhole.authorized_keys, application.manhole.password_file, application.manhole.host_key) == (
        "a",
        "p",
        "h",
    )


def test_sections_are_built_in_python_with_what_matters() -> None:
    """A test or a plugin needs no file to make an acceptor."""
    acceptor = AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmp")
    assert (acceptor.port, acceptor.tls, dict(acceptor.extra)) == (0, False, {})


def test_the_kind_of_file_is_checked(tmp_path: Path) -> None:
    """A file that is no Lua program, or whose table is no table with names, is refused."""
    with pytest.raises(ConfigError, match=r"expected a file that ends in \.lua"):
        load_config(tmp_path / "config.xml")
    (tmp_path / "config.lua").write_text("configuration = { 1, 2 }")
    with pytest.raises(ConfigError, match="configuration: expected a table with names"):
        load_config(tmp_path / "config.lua")


def test_a_file_that_anyone_may_write_is_reported(tmp_path: Path) -> None:
    """Whoever may write the configuration decides which doors are open."""
    path = tmp_path / "config.lua"
    path.write_text("configuration = { applications = { { name = 'x' } } }")
    assert load_config(path).warnings == ()
    path.chmod(0o666)
    config = load_config(path)
    assert config.warnings == ("config.lua: every user of this machine may write it",)
    assert config.source == path


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["acceptors", "aliases", "mediaStorage", "eventLogger", "authentication", "manhole", "autoHLS", "name"])


@settings(deadline=None)
@given(st.dictionaries(NAMES, anything))
def test_no_table_of_any_shape_raises_anything_but_a_config_error(application: dict[str, Any]) -> None:
    """Whatever a program puts into its tables, the answer is a configuration or a list of problems."""
    try:
        config = parse(table(**application))
    except ConfigError as error:
        assert all(line.startswith("config.lua: ") and "\n" not in line for line in error.problems)
    else:
        assert config.application.name
