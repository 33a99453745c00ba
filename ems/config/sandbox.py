"""The Lua program that runs a configuration file where it can do no harm.

`PRELUDE` is executed in a fresh interpreter with all libraries. It returns the environment table and a function that runs
a chunk in it. What the environment leaves out, and why:

* ``io``, ``os.execute``, ``os.remove``, ``os.exit``, ``package``, ``require``, ``load*``, ``dofile``, ``string.dump``,
  ``debug``, ``python``: they reach the machine, the interpreter or Python;
* ``coroutine``: a debug hook counts one coroutine only, so another one would run uncounted;
* ``setmetatable``: finalizers (``__gc``) run with hooks off, and a metamethod that is a C function can keep
  ``table.concat`` busy for ever without one Lua instruction;
* ``pcall`` and ``xpcall``: a program that catches errors can stay so deep in the C stack that the hook itself overflows
  it, before it has counted, each time; without them the first error of any kind is the end;
* pattern matching (``string.find`` and its family): one call can take exponential time inside C;
* ``table.move`` and ``table.sort``: one call can loop over 2^62 empty places. ``insert`` and ``remove`` are written in
  Lua here, so that each step is counted, and ``string.rep`` treats the empty string apart for the same reason.

``os.getenv``, ``os.time``, ``os.date`` and ``os.clock`` stay: a container sets a port by its environment, and whoever
writes the configuration may know what the server's environment says.

The hook fires every ``STEP`` instructions. Between two firings no more than ``STEP`` C functions can run, each bounded by
the memory limit, so that the clock is looked at often enough.
"""

STEP = 100
"""Lua instructions between two looks at the limits: a string of 16 MiB copied 100 times takes about a second."""

PRELUDE = rb"""
local max_instructions, max_seconds, step = ...
local sethook, clock, error, load = debug.sethook, os.clock, error, load

local rep = string.rep
local safe_string = {
    byte = string.byte, char = string.char, format = string.format, len = string.len, lower = string.lower,
    reverse = string.reverse, sub = string.sub, upper = string.upper,
    rep = function(text, count, separator)
        if #text + #(separator or "") == 0 then return "" end
        return rep(text, count, separator)
    end,
}
getmetatable("").__index = safe_string

local safe_table = {
    concat = table.concat, pack = table.pack, unpack = table.unpack,
    insert = function(list, position, ...)
        local value = ...
        local last = #list + 1
        if select("#", ...) == 0 then position, value = last, position end
        for index = last, position + 1, -1 do list[index] = list[index - 1] end
        list[position] = value
    end,
    remove = function(list, position)
        local last = #list
        position = position or last
        local value = list[position]
        for index = position, last do list[index] = list[index + 1] end
        return value
    end,
}

local safe_math = {}
for name, value in pairs(math) do safe_math[name] = value end

local environment = {
    assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, select = select,
    tonumber = tonumber, tostring = tostring, type = type, _VERSION = _VERSION,
    math = safe_math, string = safe_string, table = safe_table,
    os = {clock = os.clock, date = os.date, getenv = os.getenv, time = os.time},
}
environment._G = environment

local function run(source, name)
    local chunk, message = load(source, name, "t", environment)
    if not chunk then error(message, 0) end
    local remaining, deadline = max_instructions / step, clock() + max_seconds
    sethook(function()
        remaining = remaining - 1
        if remaining <= 0 or clock() >= deadline then error("runs too long (an endless loop?)", 2) end
    end, "", step)
    chunk()
    sethook()
end

return environment, run
"""
