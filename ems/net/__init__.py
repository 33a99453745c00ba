"""Listening sockets, the connections they bring, and the counters over both."""
