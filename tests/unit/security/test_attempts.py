"""Challenges are answered once, and guessing passwords is slow; neither fills the memory."""

from twisted.internet.task import Clock

from ems.security.attempts import Challenges, Throttle, origin_of

HERE = "192.0.2.1"


def test_a_challenge_is_answered_once() -> None:
    """A response that somebody has recorded is worth nothing."""
    challenges = Challenges(Clock().seconds)
    opaque = challenges.issue("alice", "salt", HERE)
    found = challenges.take(opaque, "alice")
    assert found is not None
    assert found.salt == "salt"
    assert challenges.take(opaque, "alice") is None


def test_a_challenge_belongs_to_its_user() -> None:
    """One user's challenge is not another's, and trying that uses it up."""
    challenges = Challenges(Clock().seconds)
    opaque = challenges.issue("alice", "salt", HERE)
    assert challenges.take(opaque, "bob") is None
    assert challenges.take(opaque, "alice") is None
    assert challenges.take("guessed", "alice") is None


def test_a_challenge_expires() -> None:
    """After a minute it is forgotten."""
    clock = Clock()
    challenges = Challenges(clock.seconds)
    early, late = challenges.issue("alice", "s", HERE), ""
    clock.advance(Challenges.LIFETIME - 1)
    late = challenges.issue("alice", "s", HERE)
    clock.advance(2)
    assert challenges.take(early, "alice") is None
    assert challenges.take(late, "alice") is not None
    assert len(challenges) == 0


def test_nobody_drives_out_the_challenges_of_others() -> None:
    """A flood from one address costs its own challenges; a flood from everywhere, the oldest."""
    challenges = Challenges(Clock().seconds)
    mine = challenges.issue("alice", "s", HERE)
    for _ in range(3 * Challenges.MAX):
        challenges.issue("eve", "s", "203.0.113.9")
    assert len(challenges) == 1 + Challenges.MAX_PER_ORIGIN
    assert challenges.take(mine, "alice") is not None
    for number in range(2 * Challenges.MAX):
        challenges.issue("eve", "s", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(challenges) == Challenges.MAX


def test_a_few_attempts_are_free_and_then_they_wait() -> None:
    """Typing errors cost no time; after ten a minute each one waits longer, and in the end is not heard."""
    throttle = Throttle(Clock().seconds)
    delays = [throttle.charge(HERE) for _ in range(14)]
    assert delays[:10] == [0.0] * 10
    assert delays[10:12] == [6.0, 12.0]
    assert delays[12:] == [None, None]
    assert throttle.charge("192.0.2.2") == 0.0


def test_who_waits_is_heard_again() -> None:
    """Not being heard does not lengthen the time."""
    clock = Clock()
    throttle = Throttle(clock.seconds)
    for _ in range(100):
        throttle.charge(HERE)
    clock.advance(7)
    assert throttle.charge(HERE) is not None
    clock.advance(100)
    assert throttle.charge(HERE) == 0.0


def test_right_passwords_cost_nothing() -> None:
    """A studio whose encoders all log in at once from one address is not slowed down."""
    throttle = Throttle(Clock().seconds)
    for _ in range(1000):
        assert throttle.charge(HERE) == 0.0
        throttle.succeeded(HERE)


def test_the_throttle_remembers_a_bounded_number_of_addresses() -> None:
    """Addresses without end do not fill the memory, and the busiest stays slowed down."""
    throttle = Throttle(Clock().seconds)
    for number in range(2 * Throttle.MAX_ORIGINS):
        throttle.charge(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        delay = throttle.charge(HERE)
    assert len(throttle) == Throttle.MAX_ORIGINS
    assert delay is None


def test_an_ipv6_network_counts_as_one() -> None:
    """A customer has 2^64 addresses and one count; an IPv4 address in IPv6's clothes is itself."""
    assert origin_of("2001:db8:1:2:3::1") == origin_of("2001:db8:1:2:ffff::9")
    assert origin_of("2001:db8:1:2::1") != origin_of("2001:db8:1:3::1")
    assert origin_of("::ffff:192.0.2.1") == origin_of("192.0.2.1")
    assert origin_of("fe80::1%eth0") == origin_of("fe80::2")
    assert origin_of("") == ""
