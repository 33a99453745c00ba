"""The MP4 family as files (ISO/IEC 14496-12, QuickTime): from boxes to the index of their samples.

A file is a row of boxes. ``moov`` describes the tracks and, in tables, where their samples lie in ``mdat``; it stands first or
last. In a fragmented file the tables are empty, and each ``moof`` describes the samples of the ``mdat`` behind it::

    ftyp  moov(mvhd trak(tkhd edts(elst) mdia(mdhd hdlr minf(stbl(stsd stts ctts stss stsz stsc stco))))… mvex(trex…))  mdat
    moof(mfhd traf(tfhd tfdt trun…)…)  mdat        again and again, in fragmented files

`read_index` reads the descriptions and never the media: `boxes` finds them, `entries` tells the codecs, `tables` and `fragments`
the samples, `edits` what is shown of them, and `movie` puts all on one clock. What is written is in `ems.formats.fmp4`.

Left out are tracks other than video and sound, encrypted ones, media in other files (``dref``), and segment indexes (``sidx``).
"""

from ems.errors import MalformedData
from ems.formats.index import MediaIndex, Read
from ems.formats.mp4.boxes import load, top_level
from ems.formats.mp4.movie import Movie

__all__ = ["MAX_MOOF", "MAX_MOOV", "read_index"]

MAX_MOOV = 256 << 20
"""Bytes of a ``moov``: 10 million samples take 16 bytes each, with room."""

MAX_MOOF = 16 << 20
"""Bytes of a ``moof``: a million samples."""


def read_index(read: Read, size: int) -> MediaIndex:
    """The index of a file of the MP4 family, `size` bytes long. It blocks as long as `read` does.

    A file that is cut off gives the samples that are whole, as long as its ``moov`` is. Raises `MalformedData`.
    """
    try:
        movie = _read_movie(read, size)
        return MediaIndex.of(movie.samples(read), size, movie.left_out)
    except OverflowError:
        raise MalformedData("a time or an offset of a sample needs more than 63 bits") from None


def _read_movie(read: Read, size: int) -> Movie:
    movie: Movie | None = None
    for extent in top_level(read, size):
        if extent.type == b"moov" and movie is None:
            movie = Movie.read(load(read, extent, size, MAX_MOOV), size)
        elif extent.type == b"moof" and movie is not None:
            if extent.end > size:
                movie.left_out.append(f"the file is cut off in the moof at byte {extent.start}")
                break
            movie.add(load(read, extent, size, MAX_MOOF), extent.start)
    if movie is None:
        raise MalformedData(f"no moov in the file of {size} bytes: it is cut off, or was never finished")
    return movie
