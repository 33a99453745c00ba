"""The heart: inbound streams, their sinks, and the fan-out of one stream to many viewers.

`manager`
    all streams by name, and who waits for which
`inbound`, `gop`, `statistics`
    a stream that comes in, the frames since its last key frame, and its counters
`outbound`, `fed`
    somebody who wants a stream, and somebody who is fed from a `Feed`
`feed`, `outlet`
    a stream in one wire format for all its viewers; the way out of a connection, and the passes over viewers
`names`, `aliases`, `ingest`
    what streams are called: by themselves, by those who watch, and by those who publish
"""
