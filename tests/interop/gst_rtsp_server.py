"""GStreamer's RTSP server, as a source and as a sink of ours. Run by the system's Python, which has its bindings::

    gst_rtsp_server.py PORT CLIP.mp4 [USER:PASSWORD [basic]]

=========  ===========================================================================
``/av``    the clip in real time: H.264 and AAC
``/ts``    the same as MPEG-TS in RTP
``/rec``   takes H.264 and AAC (ANNOUNCE, RECORD), and prints what it has decoded
``/recv``  takes H.264 alone
=========  ===========================================================================
"""

import sys

import gi

for name in ("Gst", "GstRtspServer", "GstRtsp"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402  (after the versions)

PLAY, RECORD = GstRtspServer.RTSPTransportMode.PLAY, GstRtspServer.RTSPTransportMode.RECORD

VIDEO = "d.video_0 ! queue ! h264parse config-interval=-1 ! identity sync=true"
AUDIO = "d.audio_0 ! queue ! aacparse ! identity sync=true"
SINK = "signal-handoffs=true sync=false async=false"
VIDEO_SINK = f"rtph264depay name=depay0 ! h264parse ! avdec_h264 ! fakesink name=video {SINK}"
AUDIO_SINK = f"rtpmp4gdepay name=depay1 ! aacparse ! avdec_aac ! fakesink name=audio {SINK}"


def count(path, media):
    """Print what has been decoded, each 25 pictures or sounds."""
    counts = {"video": 0, "audio": 0}

    def decoded(sink, buffer, pad, kind):
        counts[kind] += 1
        if counts[kind] % 25 == 0:
            print(path, kind, counts[kind], flush=True)

    for kind in counts:
        sink = media.get_element().get_by_name(kind)
        if sink is not None:
            sink.connect("handoff", decoded, kind)


def mount(points, path, pipeline, mode, guarded):
    """Offer a pipeline at a path."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {pipeline} )")
    factory.set_transport_mode(mode)
    if guarded:
        role = "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        factory.add_role_from_structure(Gst.Structure.new_from_string(role))
    if mode == RECORD:
        factory.connect("media-configure", lambda _, media: count(path, media))
    points.add_factory(path, factory)


def guard(server, user, password, basic):
    """Ask everybody for user and password."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    if basic:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    server.set_auth(auth)


def main(port, clip, login="", kind=""):
    """Serve until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    points = server.get_mount_points()
    source = f"filesrc location={clip} ! qtdemux name=d {VIDEO}"
    guarded = bool(login)
    mount(points, "/av", f"{source} ! rtph264pay name=pay0 pt=96 {AUDIO} ! rtpmp4gpay name=pay1 pt=97", PLAY, guarded)
    ts = f"{source} ! mux. {AUDIO} ! mux. mpegtsmux name=mux alignment=7 ! rtpmp2tpay name=pay0 pt=33"
    mount(points, "/ts", ts, PLAY, guarded)
    mount(points, "/rec", f"{VIDEO_SINK} {AUDIO_SINK}", RECORD, guarded)
    mount(points, "/recv", VIDEO_SINK, RECORD, guarded)
    if login:
        guard(server, *login.split(":"), kind == "basic")
    server.attach(None)
    print("listening", flush=True)
    GLib.MainLoop().run()


main(*sys.argv[1:])
