"""EWS, the web server inside the media server: pages, and streams as HLS, DASH, HDS and Smooth Streaming over HTTP.

HTTP is RFC 9110 (semantics) and RFC 9112 (HTTP/1.1); the parser is Twisted's. The modules, in the order in which a request
meets them:

`channel`, `request`
    connections, with limits and time-outs; requests, whose answers wait for a client that does not read
`target`
    the request's address to the parts of a path
`site`
    the order of checks, and who answers
`access`, `api_door`, `event_stream`
    who may come in; the runtime API and the stream of events at ``/api/``
`files`, `mime`, `aliases`
    where a file is: in memory, in the web root, among the packaged pages; what it is; secret names of groups
`live`, `cross_domain`
    files that do not exist yet, for which a request waits; policies for Flash and Silverlight
`delivery`, `conditions`, `ranges`, `coding`, `heads`, `body`, `answers`
    whether it is sent at all, which parts of it, compressed or not, with which headers, and how: as the client takes it
`sessions`, `downloads`
    who watches: viewers of segmented streams, and fetched files, told as events
`service`
    the port, the threads that read files, and the clock for all time-outs
"""
