"""One folder a protocol; none of them imports another."""
