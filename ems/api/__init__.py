"""The runtime API: commands, and the doors through which they come.

A request is a line of text, ``getStreamInfo id=5``, or its equivalent over HTTP; a reply is one object with a status, a
description and data. The modules, in the order in which a request meets them:

`doors`, `cli`, `http`, `lines`, `json_body`, `browser`
    the acceptors on 1112 (JSON), 1222 (text for people) and 7777 (HTTP)
`request`
    text to a command's name and its parameters
`arguments`
    parameters to checked values, by the declaration
`registry`
    finds the command, has it carried out, makes the reply
`commands`
    the commands themselves, one module a group, each declared beside its coroutine (`command`)
`describe`, `tags`
    streams, connections and services as the reply objects that clients know
`reply`
    the reply as JSON or text
`openapi`, `reference`, `objects`
    the descriptions that are made from the declarations

There is no log-in on these doors: they are bound to the loopback address unless the configuration says otherwise.
"""
