"""Tracks, frames and the bitstreams of the codecs: pure values and functions, standard library only."""
