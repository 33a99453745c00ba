"""Files that are played: the folders they lie in, playlists of them, and the clock by which they go out."""
