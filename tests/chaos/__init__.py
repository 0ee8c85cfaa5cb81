"""Chaos: a counted load while all that it runs on is killed, stopped, cut and slowed at random.

``python tests/chaos --minutes 20 --seed 7`` from a clone; the tests run it for a minute. It prints
what was accepted, lost and delivered more than once, and ends with status 1 if anything was lost.
"""
