"""`trtkit pull` where something answers that is no hub: a proxy's page, another service's JSON."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest


@pytest.fixture
def server():
    """server.endpoint answers every request with server.body."""
    answer = SimpleNamespace(body=b"")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *given):
            """Not into the tests' output."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    answer.endpoint = f"http://127.0.0.1:{running.server_port}"
    yield answer
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (b"<html>sign in</html>", 3, "cannot be had: what answers there is no hub"),
        (b"[]", 2, "answers, but not as the hub does"),
        (b"null", 2, "answers, but not as the hub does"),
        (b'{"Data": {"Files": [{"Path": "tf_graph.pb", "Size": "large"}]}}', 2, "answers, but not as the hub does"),
        (b'{"Data": {"Files": []}}', 2, "has no file configuration.json"),
    ],
)
def test_what_is_no_hub_is_one_sentence(pull, server, body, code, sentence):
    server.body = body
    done = pull(server)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert sentence in done.stderr
    assert server.endpoint in done.stderr
    assert not pull.snapshot.exists()
