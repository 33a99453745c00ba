"""Commands about WebRTC by way of a rendezvous server."""

from ems.api.command import CommandGroup, flag, integer, text

WEBRTC = CommandGroup("webrtc", "WebRTC", "Browsers that meet the server in a room of a rendezvous server (ERS).")

WEBRTC.command(
    "startWebRTC",
    "Opens a room at a rendezvous server, where browsers can join and play.",
    integer("ersPort", "Port of the rendezvous server.", mandatory=True, minimum=1, maximum=65535, also_accept=("rrsPort",)),
    text("roomId", "The room; it can be opened once.", mandatory=True),
    text("ersIp", "Address of the rendezvous server. Needed unless ers is given.", also_accept=("rrsIp",)),
    text("ers", "Its name; counts when ersIp is given too.", also_accept=("rrs",)),
    text("token", "What it wants as a credential."),
    flag("ersOverSsl", False, "Speak to it over TLS.", also_accept=("rrsOverSsl",)),
    flag("keepAlive", True, "Open the room again when the rendezvous server is lost."),
    answer="Started WebRTC Negotiation Service",
    data="the configuration, with `configId`",
    example="startWebRTC ersIp=192.0.2.7 ersPort=3535 roomId=lounge",
    ascii_fields="configId ersip ersport name roomid sslCert sslKey",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

WEBRTC.command(
    "stopWebRTC",
    "Leaves rooms: all, or those that match.",
    text("ersIp", "At this address only.", also_accept=("rrsIp",)),
    integer("ersPort", "At this port only; 0 is any.", default=0, minimum=0, maximum=65535, also_accept=("rrsPort",)),
    text("roomId", "This room only."),
    answer="Stopped WebRTC Negotiation Service",
    example="stopWebRTC roomId=lounge",
)

WEBRTC.command(
    "sendWebRTCCommand",
    "Sends a message to the WebRTC players of a stream, over their data channel.",
    text("command", "Name of the message.", mandatory=True),
    text("localStreamName", "The stream.", mandatory=True),
    text("argument", "Content of the message.", mandatory=True),
    flag("base64", False, "The content is base64."),
    answer="Command sent.",
    example="sendWebRTCCommand command=say localStreamName=lobby argument=hello",
)
