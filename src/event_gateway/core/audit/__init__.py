"""The audit log: its records, what they show of a change, and the chain that links them."""
