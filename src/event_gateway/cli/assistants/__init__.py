"""The Model Context Protocol server: tools with which an assistant examines a gateway."""
