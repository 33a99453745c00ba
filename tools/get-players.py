#!/usr/bin/env python3
"""Fetch the player libraries that the packaged pages use, which are not part of this project's source.

    python3 tools/get-players.py        fetch what is missing into ems/web/pages/vendor/

Each comes from the npm registry in a pinned version, checked against the SHA-512 that is written here, so that what is
served to browsers cannot change unnoticed. Without a network the script says so and ends well: the pages then tell where a
library is missing. Needs nothing but Python.
"""

import base64
import hashlib
import io
import sys
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

VENDOR = Path(__file__).resolve().parent.parent / "ems" / "web" / "pages" / "vendor"

LARGEST_PACKAGE = 32 << 20
"""Bytes; hls.js with its source maps is 7 MB."""

TIMEOUT = 30
"""Seconds without a byte from the registry."""


@dataclass(frozen=True)
class Library:
    """A package of the npm registry: which of its files are served, and the registry's ``dist.integrity`` of its tarball."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"https://registry.npmjs.org/{self.name}/-/{self.name}-{self.version}.tgz"

    @property
    def folder(self) -> Path:
        return VENDOR / self.name.removesuffix(".js")

    @property
    def installed(self) -> bool:
        stamp = self.folder / "VERSION"
        return stamp.exists() and stamp.read_text() == self.version


LIBRARIES = (
    Library(
        "hls.js",
        "1.7.4",
        "sha512-3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg==",
        ("dist/hls.min.mjs", "dist/hls.worker.js", "LICENSE"),
    ),
)


class WrongPackage(Exception):
    """What the registry sent is not what this script expects."""


def install(library: Library) -> None:
    """Fetch, check and unpack. Raises `WrongPackage`, `OSError` without a network or with a full disk."""
    with urllib.request.urlopen(library.url, timeout=TIMEOUT) as answer:
        package = answer.read(LARGEST_PACKAGE + 1)
    digest = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
    if digest != library.integrity:
        raise WrongPackage(f"{library.url} has the checksum {digest}, not {library.integrity}")
    library.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name in library.files:
            content = archive.extractfile(f"package/{name}")
            if content is None:
                raise WrongPackage(f"{library.url} has no file {name}")
            (library.folder / PurePosixPath(name).name).write_bytes(content.read())
    # Written last: a library without it is fetched again.
    (library.folder / "VERSION").write_text(library.version)


def main() -> int:
    """Install what is missing; 1 when a package is not what it should be, 0 otherwise, also without a network."""
    for library in LIBRARIES:
        if library.installed:
            continue
        try:
            install(library)
        except WrongPackage as error:
            print(f"get-players: {error}", file=sys.stderr)
            return 1
        except OSError as error:  # URLError is one
            reason = getattr(error, "reason", error)
            print(f"get-players: no {library.name} ({reason}): pages cannot play HLS in browsers that need it", file=sys.stderr)
        else:
            print(f"get-players: {library.name} {library.version} is in {library.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
