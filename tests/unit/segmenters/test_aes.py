"""Whole segments under AES-128, and the keys that follow each other."""

from datetime import datetime

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from ems.segmenters.hls.encryption import KeySchedule, MediaKey, OwnKeys, encrypt_segment
from ems.segmenters.hls.seams import ProtectionError

KEY = MediaKey(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes(range(16)), "a.key", "a.key")


def decrypted(data: bytes, key: MediaKey) -> bytes:
    """What a player makes of a segment."""
    decryptor = Cipher(AES128(key.key), CBC(key.iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()


def test_the_cipher_is_the_one_of_the_standard() -> None:
    """A block of NIST SP 800-38A, F.2.1, comes out as printed there."""
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    assert encrypt_segment(plain, KEY)[:16].hex() == "7649abac8119b246cee98e9b12e9197d"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 188 * 100])
def test_players_get_every_byte_back(size: int) -> None:
    """A segment of any size is padded to whole blocks, and comes back unchanged."""
    data = bytes(number % 251 for number in range(size))
    encrypted = encrypt_segment(data, KEY)
    assert len(encrypted) == (size // 16 + 1) * 16
    assert decrypted(encrypted, KEY) == data


class CountedKeys:
    """Keys 0, 1, 2 … until `last`, after which there is none."""

    def __init__(self, last: int = 100) -> None:
        self.last = last
        self.given = 0

    def next_key(self) -> MediaKey:
        if self.given > self.last:
            raise ProtectionError("the store of keys is empty")
        self.given += 1
        return MediaKey(bytes([self.given]) * 16, bytes(16), f"{self.given - 1}.key")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("count", "keys"), [(1, [0, 1, 2, 3, 4, 5]), (3, [0, 0, 0, 1, 1, 1]), (5, [0, 0, 0, 0, 0, 1]), (20, [0, 0, 0, 0, 0, 0])]
)
def test_keys_change_after_aeskeycount_segments(count: int, keys: list[int]) -> None:
    """AESKeyCount is the number of segments that share a key; 1 gives each segment its own."""
    schedule = KeySchedule(CountedKeys(), count)
    assert [schedule.next_segment().uri for _ in keys] == [f"{key}.key" for key in keys]


def test_without_a_new_key_the_last_one_goes_on() -> None:
    """When keys run out, segments stay encrypted with the last one, and change as soon as there is another."""
    source = CountedKeys(last=0)
    schedule = KeySchedule(source, 2)
    assert [schedule.next_segment().uri for _ in range(4)] == ["0.key"] * 4
    source.last = 1
    assert schedule.next_segment().uri == "1.key"


def test_without_any_key_there_is_no_segment() -> None:
    """A stream that is to be encrypted is never written in the clear."""
    with pytest.raises(ProtectionError, match="empty"):
        KeySchedule(CountedKeys(last=-1), 5).next_segment()


def test_key_files_are_named_by_local_time() -> None:
    """A key file is called YYYY-MM-DDTHH-MM-SS.key; a second one within a second gets a number."""
    moment = datetime(2024, 3, 1, 10, 0, 0).timestamp()
    times = iter([moment, moment + 0.5, moment + 0.9, moment + 1])
    keys = OwnKeys(lambda: next(times))
    names = [keys.next_key().file for _ in range(4)]
    assert names == [
        "2024-03-01T10-00-00.key",
        "2024-03-01T10-00-00-2.key",
        "2024-03-01T10-00-00-3.key",
        "2024-03-01T10-00-01.key",
    ]


def test_key_files_that_are_there_are_not_overwritten() -> None:
    """In the hour that comes twice when summer ends, and after a quick restart, older segments keep their keys."""
    moment = datetime(2024, 10, 27, 2, 30, 0).timestamp()
    keys = OwnKeys(lambda: moment, {"2024-10-27T02-30-00.key"}.__contains__)
    assert keys.next_key().file == "2024-10-27T02-30-00-2.key"


def test_keys_and_ivs_are_never_the_same() -> None:
    """Each key is 16 random bytes with an IV of its own."""
    keys = OwnKeys(lambda: 0.0)
    made = [keys.next_key() for _ in range(50)]
    assert len({key.key for key in made} | {key.iv for key in made}) == 100
    assert {len(key.key) for key in made} == {len(key.iv) for key in made} == {16}
