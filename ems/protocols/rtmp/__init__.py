"""RTMP: the protocol of Flash, and since then of every encoder (Adobe RTMP 1.0, Enhanced RTMP v1 and v2).

From the wire inwards:

`handshake`, `chunks`, `wire`
    bytes to messages and back; `wire` joins the two and answers what the protocol itself asks for
`commands`
    remote calls, read and written
`mapping`, `packets`, `feed`
    messages to frames; frames to messages, for one or for all players alike
`session`
    what both ends of a connection have in common
`server`, `calls`, `publish`, `play`, `vod_play`, `acceptors`
    the conversation with a client, what is done about each of its calls, and its two halves
`attempt`, `dial`, `client`, `credentials`, `outbound`
    pulls from and pushes to other servers, and what is sent to those as to players
`tunnel`, `tunnel_http`, `tunnel_client`, `waiting`
    RTMP through HTTP: sessions, the server's connections, the client, and what both have in common
"""
