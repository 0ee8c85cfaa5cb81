"""The audit log: writes a record before and after each change, and reads them."""
