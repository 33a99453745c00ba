"""WebSocket (RFC 6455), and what is spoken over it.

`wire`
    frames as bytes, for those who make one for many connections
`framing`
    the opening handshake and the frames of one connection, by Autobahn
`connection`
    one client as a connection of the server: limits, time-outs, the outlet, and what subclasses have to say
`metadata`
    JSON metadata, both ways (``wsJsonMeta``)
`fmp4`, `fmp4_viewer`, `fmp4_feed`
    streams as fragmented MP4 (``inboundWSFMP4``): the conversation, one viewer of a stream, and what all viewers share
`http_fmp4`
    the same over plain HTTP (``inboundHttpFmp4``)
"""
