"""EMS, a live media server: streams come in over one protocol and go out over every other."""

__version__ = "0.1.0"
