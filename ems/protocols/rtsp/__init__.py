"""RTSP (RFC 2326): a conversation in the manner of HTTP that sets media up, which then travel as RTP.

::

    DESCRIBE ─► SDP: which media there are        ANNOUNCE ─► SDP: which media will come
    SETUP    ─► how each is carried               SETUP    ─► how each is carried
    PLAY     ─► RTP flows to the client           RECORD   ─► RTP flows to the server

Media are carried over UDP, two ports for each (RTP and RTCP), or inside the RTSP connection, between messages (interleaved). The
connection may itself be inside TLS, or a pair of HTTP requests.

| module | what it has |
|---|---|
| `wire` | messages and interleaved frames, out of bytes and back |
| `transport` | the Transport header |
| `server`, `methods`, `reply`, `acceptors` | the server's side of a connection, and what it answers to each method |
| `address`, `description`, `tracks` | what the path of a URL means, the SDP of a stream, and waiting for one to know its tracks |
| `session`, `carriers` | what SETUP has set up, and the sockets of it |
| `play`, `media`, `feed` | a stream on its way to viewers, as RTP or as MPEG-TS in RTP |
| `multicast` | one stream for all viewers of a network |
| `record` | a stream that a client publishes |
| `tunnel` | RTSP inside HTTP |
| `attempt`, `dial`, `tunnel_client` | a pull or a push of ours, and how it connects: directly, over TLS, through HTTP |
| `client`, `client_login`, `client_url` | the client's side of a connection |
| `pull`, `push`, `client_sockets`, `renewal` | what a client asks for to get a stream or to bring one, and its UDP sockets |
| `incoming`, `ts_reception`, `losses` | packets of another server that become a stream |
| `sdp_file` | the same without RTSP: a description in a file |
"""
