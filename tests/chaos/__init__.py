"""Chaos: a counted load while gateways and servers are killed, stopped, cut and slowed at random.

``python tests/chaos --minutes 20 --seed 7`` runs it from a clone; the tests run it for a minute. It
prints how many events were accepted, lost and delivered more than once, and ends with status 1 if
an event was lost.
"""
