"""Live subscribers: WebSocket and Server-Sent Events."""
