"""Segmenters: a live stream in pieces on the disk, for players that fetch files over HTTP.

Frames go through the same steps for every format::

    InboundStream ─► Interleaver ─► Cutter ─► segments ─► container ─► files ─► disk and memory ─► playlist

`interleaving` puts the frames of all tracks in the order of their times, `sample_clock` gives sound the times of its samples,
`cutting` decides where a segment begins and ends, `folders` finds where it is to go, and `files` writes it so that no reader ever
sees half of one. `hls` is HTTP Live Streaming.
"""
