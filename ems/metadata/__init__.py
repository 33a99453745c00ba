"""Metadata: JSON that goes along with streams, such as the position of a camera or the score of a game.

It comes in over WebSocket, over TCP, and as data messages of RTMP publishers; the newest of each stream is kept, and each new
one goes to everybody who listens for the stream, to its RTMP players, and to other servers (`pushMetadata`).

`service`
    what is kept, and who is told
`json_text`
    JSON from outside: read, and refused when it is not what RFC 8259 says, or too much
`envelope`
    the object that the server puts around what comes in
`amf`
    the values of RTMP's data messages as JSON, and JSON as such a message
`listener`
    the ports of ``addMetadataListener``, which are there again after a restart
`push`
    connections to other servers, which get each new metadata of a stream
"""
