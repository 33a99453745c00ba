"""SAMPLE-AES: what stays clear, what is encrypted, and that a player gets everything back."""

import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ems.media.nal import START_CODE, split_annexb
from ems.segmenters.hls.encryption import MediaKey
from ems.segmenters.hls.sample_aes import encrypt_adts, encrypt_picture

KEY = MediaKey(bytes(range(16)), bytes(range(100, 116)), "a.key")
CIPHER = Cipher(AES128(KEY.key), CBC(KEY.iv))


def decrypted_nal(nal: bytes) -> bytes:
    """What a player makes of a slice: one level of emulation prevention taken away, then every tenth block decrypted."""
    if len(nal) <= 48 or nal[0] & 31 not in (1, 5):
        return nal
    data = bytearray(nal.replace(b"\0\0\3", b"\0\0"))
    decryptor = CIPHER.decryptor()
    position = 32
    while len(data) - position > 16:
        data[position : position + 16] = decryptor.update(bytes(data[position : position + 16]))
        position += 160
    return bytes(data)


def slice_of(size: int, nal_type: int = 5, seed: int = 0) -> bytes:
    """A slice as encoders make them: no start code inside, no zero at the end."""
    body = random.Random(seed).randbytes(size - 2).replace(b"\0\0", b"\0\1")
    return bytes([0x60 | nal_type]) + body + b"\x80"


@pytest.mark.parametrize("size", [2, 47, 48, 49, 50, 64, 65, 192, 193, 208, 209, 1500, 20_000])
@pytest.mark.parametrize("nal_type", [1, 5])
def test_players_get_slices_back(size: int, nal_type: int) -> None:
    """A picture of any size comes back unchanged; up to 48 bytes it is not encrypted at all."""
    nal = slice_of(size, nal_type, size)
    (encrypted,) = split_annexb(encrypt_picture(CIPHER, START_CODE + nal))
    assert decrypted_nal(encrypted) == nal
    assert (encrypted != nal) is (size > 48)


def test_nine_of_ten_blocks_and_the_beginning_stay_clear() -> None:
    """Of a slice the first 32 bytes are clear, then 16 are encrypted and 144 clear, and so on."""
    nal = slice_of(32 + 160 * 3 + 17)
    (encrypted,) = split_annexb(encrypt_picture(CIPHER, START_CODE + nal))
    encrypted = encrypted.replace(b"\0\0\3", b"\0\0")
    for position in range(0, len(nal), 16):
        block = slice(position, position + 16)
        assert (encrypted[block] != nal[block]) is (position in (32, 192, 352, 512)), position


def test_encrypted_slices_have_no_start_codes() -> None:
    """Whatever the cipher makes, a decoder finds the NAL units it was given, and each comes back unchanged."""
    nals = [slice_of(4000, 1, seed) for seed in range(600)]
    # Three zero bytes in the clear part are the hard case: they were prevented from looking like a start code before.
    nals += [b"\x65" + b"\0\0\3" * 100 + b"\x80", b"\x65" + b"\x80" * 60 + b"\0\0\3"]
    encrypted = split_annexb(encrypt_picture(CIPHER, b"".join(START_CODE + nal for nal in nals)))
    assert len(encrypted) == len(nals)
    assert [decrypted_nal(nal) for nal in encrypted] == nals


def test_parameter_sets_stay_clear() -> None:
    """Parameter sets, SEI and delimiters are for everybody to read."""
    for nal_type in (6, 7, 8, 9):
        unit = START_CODE + slice_of(300, nal_type)
        assert encrypt_picture(CIPHER, unit) == unit


@pytest.mark.parametrize(("header", "clear"), [(b"\xff\xf1" + bytes(5), 23), (b"\xff\xf0" + bytes(7), 25)])
@pytest.mark.parametrize("size", [25, 30, 38, 39, 41, 400])
def test_adts_frames_are_encrypted_in_whole_blocks(header: bytes, clear: int, size: int) -> None:
    """Of a frame of sound the header, 16 bytes and what does not fill a block are clear; every frame begins with the IV."""
    frame = header + bytes(number % 256 for number in range(size - len(header)))
    encrypted = encrypt_adts(CIPHER, frame)
    end = clear + (size - clear) // 16 * 16
    decryptor = CIPHER.decryptor()
    assert encrypted[:clear] == frame[:clear]
    assert decryptor.update(encrypted[clear:end]) == frame[clear:end]
    assert encrypted[end:] == frame[end:]
    assert encrypt_adts(CIPHER, frame) == encrypted
