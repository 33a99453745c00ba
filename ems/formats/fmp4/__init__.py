"""Fragmented MP4 (ISO/IEC 14496-12 §8.8): an initialisation segment, then as many fragments as the stream has.

The initialisation segment (`init_segment`: ``ftyp`` and ``moov``) tells what each track is and has no samples. Every fragment
(`FragmentWriter`: ``moof`` and ``mdat``) brings a `Run` of samples of one track or several, and says when they are to be decoded,
so that a player can begin with any fragment that begins with a key frame. WebSocket players, HLS and DASH all get these bytes::

    ftyp  moov(mvhd trak(tkhd mdia(mdhd hdlr minf(… stbl(stsd …))))… mvex(trex…))
    moof(mfhd traf(tfhd tfdt trun)…)  mdat        again and again

Tracks are numbered from 1 in the order given. The media clock ticks 90000 times a second for video and at the sample rate
for audio (`timescale`). There are no edit lists: a stream begins where its first sample does.

For players that are fed picture by picture there is `ems.formats.fmp4.live`, and their older form in `ems.formats.fmp4.blocks`.
"""

from ems.formats.fmp4.fragment import FragmentWriter, Run
from ems.formats.fmp4.initialisation import init_segment, needs_first_frame, segment_type
from ems.formats.fmp4.sample_entry import carried
from ems.formats.fmp4.ticks import ticks, timescale

__all__ = ["FragmentWriter", "Run", "carried", "init_segment", "needs_first_frame", "segment_type", "ticks", "timescale"]
