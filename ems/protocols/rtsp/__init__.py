"""RTSP (RFC 2326): a conversation in the manner of HTTP that sets media up, which then travel as RTP.

::

    DESCRIBE ─► SDP: which media there are        ANNOUNCE ─► SDP: which media will come
    SETUP    ─► how each is carried               SETUP    ─► how each is carried
    PLAY     ─► RTP flows to the client           RECORD   ─► RTP flows to the server

Media are carried over UDP, two ports for each (RTP and RTCP), or inside the RTSP connection, between messages (interleaved). The
connection may itself be inside TLS, or a pair of HTTP requests.

| module | what it has |
|---|---|
| `wire` | messages and interleaved frames, out of bytes and back; for clients as well |
| `transport` | the Transport header; for clients as well |
| `address` | what the path of a URL means |
| `description` | the SDP of a stream |
| `server`, `methods`, `acceptors` | the server's side of a connection, and what it answers to each method |
| `session`, `carriers` | what SETUP has set up, and the sockets of it |
| `play`, `media`, `feed` | a stream on its way to viewers, as RTP or as MPEG-TS in RTP |
| `multicast` | one stream for all viewers of a network |
| `record` | a stream that comes in |
| `tunnel` | RTSP inside HTTP |
"""
