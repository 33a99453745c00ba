"""RTMP: the protocol of Flash, and since then of every encoder (Adobe RTMP 1.0, Enhanced RTMP v1 and v2).

From the wire inwards: `handshake` and `chunks` make messages of bytes and back, `wire` joins the two and answers what the
protocol itself asks for; `commands` reads and writes remote calls; `mapping` turns messages into frames and `feed` frames into
messages; `server` holds the conversation with a client, `publish` and `play` its two halves.
"""
