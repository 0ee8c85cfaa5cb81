"""A live view of a gateway in the terminal."""
