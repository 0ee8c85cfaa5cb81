"""HTTP/1.1 to receivers: client, dialer, resolver, proxy, egress guard, certificates."""
