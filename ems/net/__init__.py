"""The network below all protocols: listening sockets, connections both ways, datagrams, TLS, and the counters over them.

`acceptor`, `limits`
    the ports of the configuration and of ``createService``, and who is turned away
`connection`, `registry`
    what every connection has in common, and all of them together
`attempt`, `dialing`
    pulls and pushes as far as they are alike, and connecting to other servers
`sockets`, `tls`, `tls_transport`
    options of sockets; certificates; TLS that writes straight to the socket
`udp`, `datagrams`
    sockets for media over UDP, and senders of datagrams as connections
`idle`, `intake`
    sockets that hardly ever send, watched together; sockets that send much, read in passes
"""
