"""A receiver to play with: prints what it gets."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Answers each POST with 204."""

    def do_POST(self) -> None:
        """Prints path and body."""
        body = self.rfile.read(int(self.headers["content-length"]))
        print(self.path, body.decode(), flush=True)
        self.send_response(204)
        self.end_headers()


HTTPServer(("0.0.0.0", 3000), Receiver).serve_forever()  # noqa: S104 - others reach it
