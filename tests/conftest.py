import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from torchvision.models import regnet


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keep what dlx caches, and its key, out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def on_meta(monkeypatch):
    """Build without storage; regnet computes its widths with tensors, which must be real."""
    original = regnet.BlockParams.from_init_params.__func__

    def from_init_params(cls, *arguments, **choices):
        with torch.device("cpu"):
            return original(cls, *arguments, **choices)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(from_init_params))
    with torch.device("meta"):
        yield


@pytest.fixture
def served(tmp_path):
    """Serve a folder on this machine: gives the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
