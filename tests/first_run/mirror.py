"""A mirror of a release: port, folder. What is below cut/ breaks off half way, what is below
silent/ is never answered."""

import functools
import http.server
import sys
import time
from pathlib import Path


class Mirror(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/silent/"):
            time.sleep(60)
        elif self.path.startswith("/cut/") and self.path.endswith(".gz"):
            body = Path(self.directory, self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
        else:
            super().do_GET()


if __name__ == "__main__":
    address = ("127.0.0.1", int(sys.argv[1]))
    handler = functools.partial(Mirror, directory=sys.argv[2])
    http.server.ThreadingHTTPServer(address, handler).serve_forever()
