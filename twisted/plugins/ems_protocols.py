"""The protocols that come with EMS. Each is loaded when an acceptor, a pull or a push asks for it."""

from ems.plugins import LazyAcceptorProtocol, LazyPuller, LazyPusher

rtmp = LazyAcceptorProtocol("inboundRtmp", ("TCP", "IR"), "ems.protocols.rtmp.acceptors:InboundRtmp")
rtmps = LazyAcceptorProtocol("inboundRtmps", ("TCP", "ISSL", "IRS"), "ems.protocols.rtmp.acceptors:InboundRtmps")
rtmpt = LazyAcceptorProtocol("inboundRtmpt", ("TCP", "IH4R", "IR"), "ems.protocols.rtmp.acceptors:InboundRtmpt")
rtsp = LazyAcceptorProtocol("inboundRtsp", ("TCP", "RTSP"), "ems.protocols.rtsp.acceptors:InboundRtsp")
ws_fmp4 = LazyAcceptorProtocol("inboundWSFMP4", ("TCP", "IWS", "IWSFMP4"), "ems.protocols.websocket.fmp4:InboundWsFmp4")
wss_fmp4 = LazyAcceptorProtocol(
    "inboundWSSFMP4", ("TCP", "ISSL", "IWS", "IWSFMP4"), "ems.protocols.websocket.fmp4:InboundWssFmp4"
)
http_fmp4 = LazyAcceptorProtocol("inboundHttpFmp4", ("TCP", "IHTT2", "IH4F"), "ems.protocols.websocket.http_fmp4:InboundHttpFmp4")
ws_json_meta = LazyAcceptorProtocol("wsJsonMeta", ("TCP", "IWS", "WSMETA"), "ems.protocols.websocket.metadata:WsJsonMeta")
wss_json_meta = LazyAcceptorProtocol(
    "wssJsonMeta", ("TCP", "ISSL", "IWS", "WSMETA"), "ems.protocols.websocket.metadata:WssJsonMeta"
)
json_meta = LazyAcceptorProtocol("inboundJsonMeta", ("TCP", "JSONMETA"), "ems.protocols.jsonmeta.server:InboundJsonMeta")
json_cli = LazyAcceptorProtocol("inboundJsonCli", ("TCP", "IJSONCLI"), "ems.api.doors:JsonDoor")
ascii_cli = LazyAcceptorProtocol("inboundAsciiCli", ("TCP", "IASCCLI"), "ems.api.doors:AsciiDoor")
http_cli = LazyAcceptorProtocol("inboundHttpJsonCli", ("TCP", "IHTT", "H4C", "IJSONCLI"), "ems.api.doors:HttpDoor")
rtmp_puller = LazyPuller(("rtmp", "rtmps", "rtmpt"), "ems.protocols.rtmp.attempt:RtmpPuller")
rtmp_pusher = LazyPusher(("rtmp", "rtmps", "rtmpt"), "ems.protocols.rtmp.attempt:RtmpPusher")
tcp_ts = LazyAcceptorProtocol("inboundTcpTs", ("TCP", "ITS"), "ems.protocols.mpegts.server:InboundTcpTs")
udp_ts = LazyAcceptorProtocol("inboundUdpTs", ("UDP", "ITS"), "ems.protocols.mpegts.server:InboundUdpTs")
ts_puller = LazyPuller(("mpegtsudp", "mpegtstcp", "dmpegtsudp", "dmpegtstcp"), "ems.protocols.mpegts.attempt:TsPuller")
ts_pusher = LazyPusher(("mpegtsudp", "mpegtstcp"), "ems.protocols.mpegts.attempt:TsPusher")
live_flv = LazyAcceptorProtocol("inboundLiveFlv", ("TCP", "ILFL"), "ems.protocols.liveflv.server:InboundLiveFlv")
rtsp_puller = LazyPuller(("rtsp", "rtsps"), "ems.protocols.rtsp.attempt:RtspPuller")
rtp_puller = LazyPuller(("rtp",), "ems.protocols.rtp.pull:RtpPuller")
sdp_puller = LazyPuller(("file",), "ems.protocols.rtsp.sdp_file:SdpPuller")
rtsp_pusher = LazyPusher(("rtsp", "rtsps"), "ems.protocols.rtsp.attempt:RtspPusher")
