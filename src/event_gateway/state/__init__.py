"""Redis or Valkey: what changes often."""
