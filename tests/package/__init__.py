"""Tries what is shipped beside the code: ``python tests/package``."""
