"""``twistd ems``: the media server as a service of Twisted's own daemon. The server itself is imported when it is started."""

from twisted.application.service import ServiceMaker

ems = ServiceMaker("EMS", "ems.twistd", "A live media server: RTMP, RTSP, MPEG-TS, HLS, WebRTC.", "ems")
