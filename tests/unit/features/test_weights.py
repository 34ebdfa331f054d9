# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from audit.errors import AnnotatorError, ConfigError
from audit.features import weights
from audit.features.inception import load
from audit.features.weights import sha256_of, weights_file

DATA = b"some weights"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@pytest.fixture
def server(monkeypatch):
    """Serves DATA under any name but "gone"; https is what users write, plain http what a test can speak."""

    class Handler(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            type(self).asked += 1
            self.send_response(404 if "gone" in self.path else 200)
            self.end_headers()
            self.wfile.write(DATA)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield Handler, f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def find(source=None, published=(), *, only=False):
    return weights_file(source, published=published, local_files_only=only, where="here")


def test_a_file_of_the_user(cache):
    path = cache / "mine.pth"
    path.write_bytes(DATA)
    assert find(str(path)) == path
    with pytest.raises(ConfigError, match="is not a file"):
        find(str(cache / "other.pth"))


def test_digits_in_the_name_are_checked(cache):
    right, wrong = cache / f"net-{DIGEST[:8]}.pth", cache / "net-00000000.pth"
    for path in (right, wrong):
        path.write_bytes(DATA)
    assert find(str(right)) == right
    with pytest.raises(AnnotatorError, match=f"has sha256 {DIGEST[:16]}..., its name says 00000000"):
        find(str(wrong))


def test_caches_come_before_the_network(cache):
    published = (f"https://nowhere.invalid/a-{DIGEST[:8]}.pth", f"https://nowhere.invalid/b-{DIGEST[:8]}.pth")
    hub = cache / "torch" / "hub" / "checkpoints" / f"b-{DIGEST[:8]}.pth"
    hub.parent.mkdir(parents=True)
    hub.write_bytes(DATA)
    assert find(published=published) == hub
    own = cache / "cache" / "weights" / f"a-{DIGEST[:8]}.pth"
    own.parent.mkdir(parents=True)
    own.write_bytes(DATA)
    assert find(published=published) == own


def test_download(cache, server):
    handler, address = server
    published = (f"{address}/net-{DIGEST[:8]}.pth",)
    path = find(published=published)
    assert (path.read_bytes(), path.parent) == (DATA, cache / "cache" / "weights")
    assert find(published=published) == path
    assert handler.asked == 1
    with pytest.raises(AnnotatorError, match="its name says 11111111"):
        find(published=(f"{address}/net-11111111.pth",))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_network(cache, server):
    _, address = server
    with pytest.raises(AnnotatorError, match="cannot be downloaded: Not Found") as caught:
        find(published=(f"{address}/gone.pth",))
    assert f"curl -L -O {address}/gone.pth" in caught.value.hint
    closed = "http://127.0.0.1:9"  # the discard port: nobody listens
    with pytest.raises(AnnotatorError, match="cannot be downloaded"):
        find(published=(f"{closed}/net.pth",))
    with pytest.raises(AnnotatorError, match=r"net\.pth is not in the cache"):
        find(published=(f"{closed}/net.pth",), only=True)


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(DATA)
    assert sha256_of(tmp_path / "x") == DIGEST
    assert weights._name("https://host/folder/net.pth?raw=1") == "net.pth"


@pytest.mark.parametrize("content", ["noise", "other", "pickle"])
def test_files_that_hold_no_inception(tmp_path, content):
    path = tmp_path / "net.pth"
    if content == "noise":
        path.write_bytes(b"\x00" * 100)
    elif content == "other":
        torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    else:
        torch.save(threading.Thread, path)  # a program, not tensors: never run
    with pytest.raises(AnnotatorError, match="holds no weights of this Inception-v3") as caught:
        load(path, where="here")
    assert "6726825d" in caught.value.hint
