"""Parameters to checked values."""

import pytest

from ems.api.arguments import Arguments, bind
from ems.api.command import Command, Parameter, Type, flag, integer, integers, text, texts
from ems.api.request import Request, parse_request
from ems.errors import CommandError

SAMPLE = Command(
    name="sample",
    group="test",
    summary="",
    parameters=(
        text("uri", "", mandatory=True),
        integer("ttl", "", default=256, minimum=0, maximum=256),
        flag("keepAlive", True, ""),
        texts("names", ""),
        integers("rates", ""),
        text("kind", "", default="mp4", values=("mp4", "ts")),
        text("group", "", default_text="made up", also_accept=("oldGroup",)),
        Parameter(name="scale", type=Type.FLOAT, description="", default=1.0),
    ),
    rejects_empty_parameter_list=True,
    user_variables=True,
    environment=True,
)


def bound(parameters: str) -> Arguments:
    """The arguments of the sample command for a request line."""
    request = parse_request(f"sample {parameters}")
    assert request is not None
    return bind(SAMPLE, request)


def failure(parameters: str) -> str:
    """Why a request line for the sample command fails."""
    with pytest.raises(CommandError) as caught:
        bound(parameters)
    return str(caught.value)


def test_left_out_parameters_have_their_defaults() -> None:
    """I only write what differs."""
    arguments = bound("uri=x")
    assert arguments.values == {
        "uri": "x",
        "ttl": 256,
        "keepAlive": True,
        "names": [],
        "rates": [],
        "kind": "mp4",
        "group": None,
        "scale": 1.0,
    }
    assert arguments.given == {"uri"}


def test_names_are_matched_in_any_case() -> None:
    """I need not remember capitals."""
    assert bound("URI=x KEEPALIVE=0 oldgroup=g").values["group"] == "g"


@pytest.mark.parametrize("written", ["1", "true", "TRUE", "yes", "On"])
def test_true(written: str) -> None:
    """What looks like yes is yes."""
    assert bound(f"uri=x keepAlive={written}").flag("keepAlive")


@pytest.mark.parametrize("written", ["0", "false", "No", "oFF"])
def test_false(written: str) -> None:
    """What looks like no is no."""
    assert not bound(f"uri=x keepAlive={written}").flag("keepAlive")


@pytest.mark.parametrize("written", ["", "2", "-1", "ja", "01", "t"])
def test_no_boolean(written: str) -> None:
    """A mistyped boolean is told, with what would be right."""
    assert failure(f"uri=x keepAlive={written}") == (
        "Syntax error. Parameter keepAlive is invalid. Expected 1, 0, true, false, yes, no, on or off"
    )


@pytest.mark.parametrize("written", ["", "07", "+7", "7.0", "-0", "0x7", "1e2", "７", "9" * 30])
def test_numbers_are_plain_decimal(written: str) -> None:
    """A number that is not in its plain form is told."""
    assert failure(f"uri=x ttl={written}") == "Syntax error. Parameter ttl is invalid"


@pytest.mark.parametrize("written", ["-1", "257"])
def test_a_number_out_of_range(written: str) -> None:
    """The range is told with the failure."""
    assert failure(f"uri=x ttl={written}") == "Syntax error. Parameter ttl is invalid. Range: 0 - 256"


def test_no_parameters() -> None:
    """A command that needs some says so."""
    assert failure("commandId=x") == "Syntax error. No parameters provided"


@pytest.mark.parametrize("parameters", ["ttl=1", "uri=", "uri=a,b", "uri= ttl=bad"])
def test_a_mandatory_parameter(parameters: str) -> None:
    """What is missing, empty, or a list by mistake, is told before anything else."""
    assert failure(parameters) == "Syntax error. Parameter uri is invalid"


def test_an_optional_list_by_mistake_counts_as_not_given() -> None:
    """As with the original, a comma in an optional value leaves the default; the log says so."""
    arguments = bound("uri=x ttl=1,2")
    assert arguments.integer("ttl") == 256
    assert "ttl" not in arguments.given
    assert arguments.remarks == ("sample: ttl is left out because of its comma; a comma inside a value is \\,",)


def test_lists_drop_empty_elements() -> None:
    """A comma too many does no harm, and one value is a list of one."""
    assert bound("uri=x names=a,,b,").values["names"] == ["a", "b"]
    assert bound("uri=x names=a").values["names"] == ["a"]
    assert bound("uri=x names=").values["names"] == []


def test_lists_of_which_positions_count_keep_empty_elements() -> None:
    """In transcode an empty place leaves that output's value open."""
    command = Command(name="t", group="", summary="", parameters=(texts("sizes", ""),), keeps_empty_elements=True)
    assert bind(command, Request("t", {"sizes": ["", "640x360", ""]})).values["sizes"] == ["", "640x360", ""]


def test_a_list_of_numbers() -> None:
    """Every element is checked."""
    assert bound("uri=x rates=1,2").values["rates"] == [1, 2]
    assert failure("uri=x rates=1,two") == "Syntax error. Parameter rates is invalid"


def test_one_of_several_words() -> None:
    """A word may be in any case; a wrong one is told."""
    assert bound("uri=x kind=TS").text("kind") == "ts"
    assert failure("uri=x kind=avi") == "Syntax error for kind parameter. Type help for details"


@pytest.mark.parametrize(("written", "value"), [("2", 2.0), ("-.5", -0.5), ("+1.25", 1.25)])
def test_a_number_with_a_fraction(written: str, value: float) -> None:
    """Sign and fraction are allowed where they make sense."""
    assert bound(f"uri=x scale={written}").values["scale"] == value


@pytest.mark.parametrize("written", ["", "fast", "nan", "inf", "1e5", "."])
def test_no_number_with_a_fraction(written: str) -> None:
    """Words and infinities are no numbers."""
    assert failure(f"uri=x scale={written}").startswith("Syntax error. Parameter scale is invalid")


def test_user_variables_and_environment_are_kept() -> None:
    """What begins with _ or $ is mine."""
    arguments = bound("uri=x _crew=red _list=a,,b $TZ=UTC other=1")
    assert arguments.user_variables == {"_crew": "red", "_list": ["a", "b"]}
    assert arguments.environment == {"$TZ": "UTC"}


def test_an_unknown_parameter_is_remarked_with_the_nearest_name() -> None:
    """A typing error shows in the log."""
    assert bound("uri=x keepAliv=0").remarks == ("sample: unknown parameter 'keepAliv' ignored; did you mean keepAlive?",)


def test_thousands_of_unknown_parameters_are_remarked_shortly() -> None:
    """Nobody can fill the log with one line."""
    remarks = bound("uri=x " + " ".join(f"zz{i}" for i in range(2000))).remarks
    assert len(remarks) == 9
    assert remarks[-1] == "sample: 1992 more unknown parameters ignored"


def test_json_has_types() -> None:
    """In JSON a number is a number, a boolean a boolean, null is nothing, and commas do not split."""
    given = {"uri": "a,b", "ttl": 7, "keepAlive": False, "names": ["a"], "kind": None, "scale": 2}
    values = bind(SAMPLE, Request("sample", given, typed=True)).values
    assert (values["uri"], values["ttl"], values["keepAlive"], values["kind"]) == ("a,b", 7, False, "mp4")


@pytest.mark.parametrize("given", [{"ttl": [1]}, {"ttl": True}, {"ttl": 1.0}, {"keepAlive": 2}, {"scale": True}, {"ttl": 10**40}])
def test_json_of_the_wrong_type(given: dict[str, object]) -> None:
    """A value of the wrong type is told, not guessed at."""
    with pytest.raises(CommandError, match="is invalid"):
        bind(SAMPLE, Request("sample", {"uri": "x", **given}, typed=True))  # type: ignore[arg-type]


def test_a_coroutine_that_asks_for_the_wrong_type_is_our_mistake() -> None:
    """The typed accessors hold what they say."""
    arguments = bound("uri=x")
    for ask in (arguments.integer, arguments.flag):
        with pytest.raises(TypeError):
            ask("uri")
    with pytest.raises(TypeError):
        arguments.text("ttl")
