"""liveFLV: an FLV file that never ends, over TCP (``ffmpeg -f flv tcp://host:6666``). In only.

`wire`
    tags out of bytes
`publish`
    tags as the frames of an inbound stream
`server`
    one sender as a connection of the server; the acceptor ``inboundLiveFlv``
"""
