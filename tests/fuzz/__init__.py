"""Fuzzers: what the gateway does with input that nobody has written by hand.

Each target is a Hypothesis test, a function without arguments. ``tests/unit/test_fuzz.py`` runs
each with some generated examples; ``python tests/fuzz`` runs each for minutes, guided by coverage.
"""
