"""A checker of low-latency playlists: the rules of RFC 8216bis that can be told from the text, read anew for these tests."""

import re
from dataclasses import dataclass, field


@dataclass
class Parsed:
    """A low-latency playlist. Durations are in seconds. `parts` and `segments` are by media sequence number."""

    version: int = 0
    target: int = 0
    part_target: float = 0.0
    first: int = 0
    skipped: int = 0
    ended: bool = False
    hint: str = ""
    control: dict[str, str] = field(default_factory=dict)
    segments: dict[int, tuple[str, float]] = field(default_factory=dict)
    parts: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    reports: list[dict[str, str]] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The number of the last complete segment."""
        return max(self.segments, default=self.first + self.skipped - 1)

    @property
    def following(self) -> tuple[int, int]:
        """The numbers of the part that comes next, as a player asks for it."""
        return self.last + 1, len(self.parts.get(self.last + 1, []))


def attributes(text: str) -> dict[str, str]:
    """An attribute list, without quotes."""
    return {name: value.strip('"') for name, value in re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', text)}


def parse(text: str) -> Parsed:
    """Take a playlist apart; every line has to be known."""
    assert text.startswith("#EXTM3U\n")
    parsed, duration = Parsed(), 0.0
    for line in text.splitlines()[1:]:
        tag, _, value = line.partition(":")
        number = parsed.last + 1
        match tag:
            case "#EXT-X-VERSION":
                parsed.version = int(value)
            case "#EXT-X-TARGETDURATION":
                parsed.target = int(value)
            case "#EXT-X-MEDIA-SEQUENCE":
                parsed.first = int(value)
            case "#EXT-X-SERVER-CONTROL":
                parsed.control = attributes(value)
            case "#EXT-X-PART-INF":
                parsed.part_target = float(attributes(value)["PART-TARGET"])
            case "#EXT-X-SKIP":
                parsed.skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
            case "#EXT-X-PART":
                parsed.parts.setdefault(number, []).append(attributes(value))
            case "#EXT-X-PRELOAD-HINT":
                assert attributes(value)["TYPE"] == "PART"
                parsed.hint = attributes(value)["URI"]
            case "#EXT-X-RENDITION-REPORT":
                parsed.reports.append(attributes(value))
            case "#EXTINF":
                duration = float(value.rstrip(","))
            case "#EXT-X-ENDLIST":
                parsed.ended = True
            case "#EXT-X-MAP" | "#EXT-X-PROGRAM-DATE-TIME" | "#EXT-X-DISCONTINUITY" | "#EXT-X-DISCONTINUITY-SEQUENCE":
                assert not parsed.parts.get(number), f"{tag} must come before the parts that it applies to"
            case "#EXT-X-GAP" | "#EXT-X-ALLOW-CACHE" | "#EXT-X-PLAYLIST-TYPE" | "#EXT-X-INDEPENDENT-SEGMENTS":
                pass
            case _:
                assert not line.startswith("#"), f"unknown: {line}"
                parsed.segments[number] = line, duration
    return parsed


def check(text: str) -> Parsed:
    """Parse a playlist and check every rule."""
    parsed = parse(text)
    control = parsed.control
    assert control["CAN-BLOCK-RELOAD"] == "YES"
    assert float(control["PART-HOLD-BACK"]) >= 3 * parsed.part_target - 1e-9
    assert float(control["HOLD-BACK"]) >= 3 * parsed.target
    assert float(control["CAN-SKIP-UNTIL"]) >= 6 * parsed.target
    assert not parsed.skipped or parsed.version >= 9
    assert not (parsed.ended and parsed.hint)
    for number, parts in parsed.parts.items():
        durations = [float(part["DURATION"]) for part in parts]
        complete = number in parsed.segments
        assert all(duration <= parsed.part_target for duration in durations)
        assert all(duration >= 0.85 * parsed.part_target - 1e-6 for duration in durations[: -1 if complete else None])
        if complete:
            assert -0.002 < parsed.segments[number][1] - sum(durations) < 0.15 * parsed.part_target + 0.002
    assert all(round(duration) <= parsed.target for _, duration in parsed.segments.values())
    _check_reach(parsed)
    return parsed


def _check_reach(parsed: Parsed) -> None:
    """Parts are listed for three target durations before the end, and not much longer."""
    behind = 0.0
    for number in sorted({*parsed.segments, *parsed.parts}, reverse=True):
        if number in parsed.segments:
            if behind >= 3 * parsed.target:
                assert not parsed.parts.get(number)
            behind += parsed.segments[number][1]
