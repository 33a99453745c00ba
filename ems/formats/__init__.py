"""Containers, descriptions and serialisations as values: bytes in, values out and back. No sockets, files, clock or Twisted."""
