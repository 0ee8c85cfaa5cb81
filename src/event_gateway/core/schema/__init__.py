"""Event types, the JSON Schema of their data, and AsyncAPI documents."""
