"""Commands about timers, which do nothing but raise events."""

from ems.api.command import UINT32_MAX, CommandGroup, integer, text

TIMERS = CommandGroup("timers", "Timers", "Events at a time, or time and again.")

TIMER_FIELDS = "timerId triggerCount value"

TIMERS.command(
    "setTimer",
    "Sets a timer. Timers do not outlive a restart.",
    text(
        "value",
        "1 to 86399: every so many seconds. HH:MM:SS: today at that time. YYYY-MM-DDTHH:MM:SS: at that moment. Times are UTC.",
        mandatory=True,
    ),
    answer="Custom timer enqueued",
    data="`timerId`, `triggerCount`, `value`",
    example="setTimer value=15",
    ascii_fields=TIMER_FIELDS,
    rejects_empty_parameter_list=True,
    user_variables=True,
)

TIMERS.command(
    "listTimers",
    "Lists the timers that are set.",
    answer="List of armed timers",
    data="a list of objects with `timerId`, `triggerCount`, `value`",
    ascii_fields=TIMER_FIELDS,
)

TIMERS.command(
    "removeTimer",
    "Takes a timer back.",
    integer("id", "Its timerId.", mandatory=True, minimum=1, maximum=UINT32_MAX),
    answer="Timer removed",
    data="`timerId`, `triggerCount`, `value`",
    example="removeTimer id=3",
    ascii_fields=TIMER_FIELDS,
    rejects_empty_parameter_list=True,
)
