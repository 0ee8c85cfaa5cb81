"""Alerts: tallies of attempts between processes, their evaluation, states, silences."""
