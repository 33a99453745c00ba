"""RTP (RFC 3550) and its payload formats: frames to packets (`packetise`) and back (`depacketise`).

A packet has a header of twelve bytes, with a sequence number by which losses show and a timestamp on the clock of its medium
(90 kHz for video, the sample rate for sound), and a payload whose form each codec has a standard for. The timestamp is the time
of presentation, it begins anywhere, and what relates the timestamps of two media comes in RTCP (`ems.formats.rtcp`).

| module | what it has |
|---|---|
| `packet` | `RtpPacket`, `parse`, `build`, sequence arithmetic |
| `payload` | what all payload formats share: `Packetiser`, `Depacketiser`, `AccessUnit` |
| `packetise` | `make_packetiser`, `make_ts_packetiser` |
| `depacketise` | `make_depacketiser` |
| `fragments` | `Fragments` and `KeyframeGate`, of which depacketisers are made |
| `nal_packets`, `nal_units` | H.264 (RFC 6184) and H.265 (RFC 7798), out and in |
| `aac`, `latm` | AAC (RFC 3640, RFC 6416) |
| `av1`, `av1_record` | AV1, and its configuration record out of the stream |
| `vp8`, `vp9` | RFC 7741, RFC 9628 |
| `sounds` | G.711 (RFC 3551), Opus (RFC 7587), MP3 (RFC 2250), AC-3 (RFC 4184), E-AC-3 (RFC 4598) |
| `reorder` | `ReorderBuffer` |
| `sync` | `Synchroniser`: the timestamps of several media on one clock |
| `decode_order` | `DecodeOrder`: times of decoding, which RTP does not tell |
| `reception` | `Reception`: all of it, from packets to frames |

Nothing here knows a socket or a clock: times of arrival are passed in, in nanoseconds of any monotonic clock.
"""
