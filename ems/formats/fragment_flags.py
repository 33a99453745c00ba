"""What the boxes of a fragment say they hold, for those who write fragments and those who read them (ISO/IEC 14496-12 §8.8)."""

# tf_flags of a track's fragment (§8.8.7.1)
BASE_DATA_OFFSET = 0x01
DESCRIPTION_INDEX = 0x02
DEFAULT_DURATION = 0x08
DEFAULT_SIZE = 0x10
DEFAULT_FLAGS = 0x20
DEFAULT_BASE_IS_MOOF = 0x020000

# tr_flags of a run of samples (§8.8.8.1)
DATA_OFFSET = 0x01
FIRST_FLAGS = 0x04
DURATIONS = 0x100
SIZES = 0x200
FLAGS = 0x400
OFFSETS = 0x800
