"""HTTP Live Streaming (RFC 8216): segments in MPEG-TS, ADTS or fragmented MP4, and the playlists that name them.

`job`
    what ``createHLSStream`` makes: one stream's output, kept alive and kept over restarts
`output`
    one source after another, from frames to files
`containers`
    the bytes of a segment
`window`
    which segments the playlist lists, which files stay on the disk, how a playlist of before is continued
`master`
    the master playlists, one for each group
`settings`
    the settings of a job with their types, and what must not go together
`seams`
    where encryption and low latency come in
"""
