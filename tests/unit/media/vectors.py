"""Codec headers that real encoders wrote: ffmpeg 5.1 with the arguments told at each, and its ``extradata`` or first bytes.

All pictures come from ``-f lavfi -i testsrc2=size=…:rate=…``, all sound from ``-f lavfi -i sine=frequency=440``.
"""

AVCC_HIGH = bytes.fromhex("0164001effe1001a6764001eacd940a02ff970110000030001000003003c0f162d9601000668ebe3cb22c0fdf8f800")
"""size=640x360:rate=30, -c:v libx264 -pix_fmt yuv420p -bf 2"""

AVCC_BASELINE = bytes.fromhex("0142c028ffe100176742c028da01e0089f97011000003e90000ea600f1832a01000468ce0fc8")
"""size=1920x1080:rate=30000/1001, -c:v libx264 -preset ultrafast -profile:v baseline -pix_fmt yuv420p"""

AVCC_HIGH_422 = bytes.fromhex("017a000cffe1001a677a000cb6cd941419f8dc0440000003004000000c83c50a658001000668ebe3cb22c0fefafa00")
"""size=320x180:rate=25, -c:v libx264 -profile:v high422 -pix_fmt yuv422p10le"""

AVCC_INTERLACED = bytes.fromhex(
    "0164001effe100236764001eacd940b424d8088000000300800000193020007a12000f425261807c50a65801000768fba3cb3002c0fdf8f800"
)
"""size=720x576:rate=25, -c:v libx264 -flags +ildct+ilme -x264-params
interlaced=1:nal-hrd=vbr:vbv-maxrate=1000:vbv-bufsize=1000:cqm=jvt"""

HVCC_MAIN = bytes.fromhex(
    "0101600000009000000000007bf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003007b95"
    "9409a10001002b42010101600000030090000003000003007ba003c0801107cb965654a4c2f0168080000003008000001904"
    "a2000100064401c073c189"
)
"""size=1920x1080:rate=50, -c:v libx265 -preset ultrafast -pix_fmt yuv420p; the SEI array with the encoder's name taken out"""

HVCC_MAIN_10 = bytes.fromhex(
    "0102200000009000000000003ff002fffdfafa00001303a00001001c40010c02ffff02200000030090000003000003003f00"
    "009598acc048a10001003e42010202200000030090000003000003003f0000a0050201693659598acd249caf01680800001f"
    "480002ee0300a4b2f0007a12000f425c001e848003d091a2000100074401c172b46240"
)
"""size=640x360:rate=24000/1001, -c:v libx265 -pix_fmt yuv420p10le -x265-params
scaling-list=default:hrd=1:vbv-maxrate=1000:vbv-bufsize=1000:temporal-layers=1; the SEI arrays taken out"""

AV1C = bytes.fromhex("81010c000a0b0000000cc4ff6736be4010")
"""size=640x360:rate=30, -c:v libaom-av1 -cpu-used 8"""

VPCC_BOX = bytes.fromhex("010000000015820202020000")
"""size=640x360:rate=30, -c:v libvpx-vp9; the vpcC box behind its name, version and flags included"""

ASC_STEREO = bytes.fromhex("121056e500")
"""sample_rate=44100, -ac 2 -c:a aac"""

ASC_5_1 = bytes.fromhex("11b056e500")
"""-ar 48000 -ac 6 -c:a aac"""

ADTS = bytes.fromhex("fff150802b3ffcde02004c6176633539")
"""sample_rate=44100, -ac 2 -c:a aac, first bytes of the .aac file"""

OPUS_STEREO = bytes.fromhex("4f707573486561640102380180bb0000000000")
"""-ac 2 -ar 48000 -c:a libopus"""

OPUS_5_1 = bytes.fromhex("4f707573486561640106380180bb00000000010402000401020305")
"""-ac 6 -ar 48000 -c:a libopus"""

STREAMINFO = bytes.fromhex("120012000004a30005080ac442f0000022745d105ceb212ad5d36e4f5608def3d8b7")
"""sample_rate=44100, -ac 2 -c:a flac"""

AC3_5_1 = bytes.fromhex("0b77d0f81e40ebf8403eff99ff0841fc")
"""-ac 6 -ar 48000 -c:a ac3, first bytes; every frame has 1792"""

AC3_STEREO = bytes.fromhex("0b77c2ea544043e106f575f0c0c21818")
"""-ac 2 -ar 44100 -b:a 192k -c:a ac3, first bytes; the first frame has 834"""

EAC3_STEREO = bytes.fromhex("0b7701a07487c000208401003900ae06")
"""-ac 2 -ar 44100 -c:a eac3, first bytes; the first frame has 834"""

MP3_STEREO = bytes.fromhex("fffb90640000026b0bce9d6060000000")
"""sample_rate=44100, -ac 2 -c:a libmp3lame, first bytes of the second frame; it has 417"""

MP3_LOW_MONO = bytes.fromhex("fff340c40014688670175818007fe4a0")
"""-ac 1 -ar 22050 -c:a libmp3lame -write_xing 0, first bytes; the first frame has 104"""
