"""MPEG-2 transport streams (ISO/IEC 13818-1) over UDP and TCP, in and out. The packets themselves are in `ems.formats.mpegts`.

There is no protocol to speak of: the packets follow one another, over UDP seven in a datagram (ETSI TS 102 034 §7.1.1), over TCP
in a row without end. A stream comes in *parsed*, for players of any kind, or *untouched*: as packets, with all programs, tables
and codecs that are in it, for outputs of transport streams only.

| module | what it has |
|---|---|
| `wire`, `datagrams` | packets out of bytes, untouched and counted; out of datagrams, with or without RTP around them |
| `mapping` | the track of an untouched stream, and what is told of a transport stream |
| `publish` | what comes in, as an inbound stream |
| `server` | who sends to us; the acceptors ``inboundTcpTs`` and ``inboundUdpTs`` |
| `attempt` | pulls and pushes, as plugins |
| `dial` | TCP connections to others, or from one of them |
| `client` | the connections of pulls and pushes |
| `feed` | a stream as packets, muxed once for all who get it |
| `pacing`, `paced_outlet` | when which datagram leaves; the way out that keeps to it |
| `outbound` | a stream on its way out |
"""
