"""What a bad network has cost a stream that comes in by RTP, in the words of ``getStreamInfo``."""

from ems.formats.rtp.reception import Reception
from ems.media.track import Kind
from ems.protocols.rtsp.ts_reception import TsReception
from ems.streams.inbound import InboundStream


def count_losses(stream: InboundStream, reception: Reception | TsReception) -> None:
    """Write into the stream how many packets were lost until now, and the frames that were dropped because of it."""
    if isinstance(reception, TsReception):
        lost = reception.lost
        stream.statistics.video.dropped_packets = reception.dropped
    else:
        lost = sum(medium.lost for medium in reception.medias)
        for medium in reception.medias:
            track = medium.depacketiser.track
            if track is not None:
                counters = stream.statistics.video if track.kind is Kind.VIDEO else stream.statistics.audio
                counters.dropped_packets = medium.depacketiser.dropped
    stream.details = {**stream.details, "lostPackets": str(lost)}
