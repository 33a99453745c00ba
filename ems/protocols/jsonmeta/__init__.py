"""JSON metadata over TCP (``inboundJsonMeta``): objects one behind the other, from a sensor or a script.

`wire`
    where an object ends
`server`
    one client as a connection of the server
"""
