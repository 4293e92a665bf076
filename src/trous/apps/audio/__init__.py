"""Sound: files of it, and networks that work on it."""
