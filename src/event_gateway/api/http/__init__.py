"""HTTP/1.1 as the API speaks it: connections, requests, responses, and their limits."""
