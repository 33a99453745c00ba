"""MPEG-2 transport streams (ISO/IEC 13818-1): frames to packets of 188 bytes (`mux`) and back (`demux`).

Every packet begins with 0x47 and names, in 13 bits, the PID it belongs to. PID 0 carries the program association table (PAT),
which says on which PID each program has its map (PMT); the map says which elementary stream is on which PID. An access unit
travels in a PES packet, which begins with its times and is cut into as many packets as it takes; a counter of four bits in each
packet shows what got lost.

| module | what it has |
|---|---|
| `packets` | the packet's header and counters, the clocks |
| `psi` | sections, PAT, PMT and descriptors |
| `pes` | the PES header and its 33-bit times |
| `payloads` | access units as elementary streams have them: Annex B, ADTS |
| `opus_layout` | Opus: channel layouts and control headers |
| `mux` | `TsMuxer` |
| `sample_aes` | the stream types and descriptors of HLS SAMPLE-AES |
| `sync` | finding packets in bytes that begin anywhere |
| `demux` | `TsDemuxer` |
| `pictures`, `sounds`, `latm` | access units out of PES packets |
| `clock` | wrapped times to frames on the stream's clock |
"""
