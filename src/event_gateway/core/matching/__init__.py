"""Selecting events: patterns, paths, filters, CloudEvents filters, expressions, selections."""
