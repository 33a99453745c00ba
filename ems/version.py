"""What this server is: its name, version, and the build it comes from.

A build may leave ``build.json`` beside this module with any of ``branchName``, ``buildDate`` (``YYYY-MM-DDTHH:MM:SS.000``,
UTC), ``buildNumber`` (digits) and ``hash`` (the source revision). Without it, as in a checkout, these are empty.
"""

import json
from dataclasses import dataclass
from importlib import resources

from ems import __version__

NAME = "EMS"
"""The name of the server; HTTP and RTMP headers have it before the version."""

CODE_NAME = "Clear Water"


@dataclass(frozen=True, slots=True)
class Version:
    """The answer of the command ``version``, and the payload of the events serverStarted and serverStopping."""

    banner: str
    branch_name: str
    build_date: str
    build_number: str
    code_name: str
    hash: str
    release_number: str

    @property
    def user_agent(self) -> str:
        """What the server calls itself to other servers: product/version, as in HTTP (RFC 9110 §10.1.5)."""
        return f"{NAME}/{self.release_number}"


def read_version() -> Version:
    """The version of the installed package, with what its build has left behind."""
    build = _read_build()
    number = build.get("buildNumber", "")
    return Version(
        banner=f"{NAME} {__version__}" + (f" build {number}" if number else ""),
        branch_name=build.get("branchName", ""),
        build_date=build.get("buildDate", ""),
        build_number=number,
        code_name=CODE_NAME,
        hash=build.get("hash", ""),
        release_number=__version__,
    )


def _read_build() -> dict[str, str]:
    try:
        build = json.loads(resources.files("ems").joinpath("build.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in build.items()} if isinstance(build, dict) else {}
