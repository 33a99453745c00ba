"""The protocols that come with EMS. Each is loaded when an acceptor, a pull or a push asks for it."""

from ems.plugins import LazyAcceptorProtocol, LazyPuller, LazyPusher

rtmp = LazyAcceptorProtocol("inboundRtmp", ("TCP", "IR"), "ems.protocols.rtmp.acceptors:InboundRtmp")
rtmps = LazyAcceptorProtocol("inboundRtmps", ("TCP", "ISSL", "IRS"), "ems.protocols.rtmp.acceptors:InboundRtmps")
rtmpt = LazyAcceptorProtocol("inboundRtmpt", ("TCP", "IH4R", "IR"), "ems.protocols.rtmp.acceptors:InboundRtmpt")
json_cli = LazyAcceptorProtocol("inboundJsonCli", ("TCP", "IJSONCLI"), "ems.api.doors:JsonDoor")
ascii_cli = LazyAcceptorProtocol("inboundAsciiCli", ("TCP", "IASCCLI"), "ems.api.doors:AsciiDoor")
http_cli = LazyAcceptorProtocol("inboundHttpJsonCli", ("TCP", "IHTT", "H4C", "IJSONCLI"), "ems.api.doors:HttpDoor")
rtmp_puller = LazyPuller(("rtmp", "rtmps", "rtmpt"), "ems.protocols.rtmp.attempt:RtmpPuller")
rtmp_pusher = LazyPusher(("rtmp", "rtmps", "rtmpt"), "ems.protocols.rtmp.attempt:RtmpPusher")
