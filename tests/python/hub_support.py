"""A model hub of our own: repositories of one file each, listed and served as the real one does."""

import hashlib
import http.server
import json
import threading
import time


class Hub:
    """files: repository -> bytes. `pause` seconds lie between two pieces of a file."""

    def __init__(self, files, pause=0):
        self.files, self.pause, outer = files, pause, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def answer(self, request):
        path = request.path.split("?")[0]
        for name, content in self.files.items():
            if path.startswith(f"/api/models/{name}/tree/"):
                digest = hashlib.sha256(content).hexdigest()
                return self.send(request, json.dumps([{
                    "type": "file", "path": "tiny-f16.gguf", "size": len(content),
                    "lfs": {"oid": digest, "size": len(content)},
                }]).encode())
            if path.startswith(f"/{name}/resolve/"):
                return self.send(request, content)
        request.send_error(404)

    def send(self, request, content):
        asked = request.headers.get("Range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").split("-")[0])
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        try:
            for at in range(start, len(content), 65536):
                request.wfile.write(content[at : at + 65536])
                time.sleep(self.pause)
        except ConnectionError:
            pass  # the client has cancelled

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()
