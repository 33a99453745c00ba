"""The heart: inbound streams, their sinks, and the fan-out of one stream to many viewers."""
