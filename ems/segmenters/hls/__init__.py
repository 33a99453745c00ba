"""HTTP Live Streaming (RFC 8216): segments in MPEG-TS, ADTS or fragmented MP4, and the playlists that name them.

`request`, `settings`
    from the parameters of ``createHLSStream`` to the settings of each stream's output, and what must not go together
`job`, `auto`
    an output for as long as it is wanted: kept alive and over restarts, or for every stream by itself (``autoHLS``)
`output`
    one source after another, from frames to files
`writer`, `containers`
    the frames of one source to its segments, and the bytes of those
`store`, `window`
    the files on the disk and in memory; which segments the playlist lists, and how a playlist of before is continued
`master`, `measuring`
    the master playlists, one for each group, and what they tell of each stream
`seams`, `extensions`
    where encryption and low latency come in, and by which names
`encryption`, `sample_aes`, `verimatrix`
    AES-128, SAMPLE-AES, and keys from a Verimatrix server
`lowlatency`, `lowlatency_parts`, `lowlatency_playlist`, `lowlatency_reload`
    low-latency HLS: parts, the playlist that names them, and answers that wait for them
"""
