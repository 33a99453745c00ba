"""Raw RTP (RFC 3550): packets of one medium that come to a port, and nobody says what they are.

There is no session description, so whoever asks for such a source tells its codec (`pull`), and no RTCP is needed, because one
medium alone has nothing to be in step with.
"""
