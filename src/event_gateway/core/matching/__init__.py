"""Which events are selected: patterns, paths, filters, dialects, expressions."""
