"""The command about the other processes of the server."""

from ems.api.command import CommandGroup

CLUSTER = CommandGroup("cluster", "Cluster", "The processes that share the load.")

CLUSTER.command("listEdges", "Lists the processes that serve viewers for this one.", answer="Edges list", data="a list")
