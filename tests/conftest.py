import io
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import hypothesis
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torchvision.models import regnet

from dlx.registry import REGISTRIES

# How long an example takes is the machine's affair: neither a deadline nor a check of health may fail by the clock.
hypothesis.settings.register_profile("dlx", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("dlx")


def pytest_terminal_summary(terminalreporter, config):
    """Tell how to repeat the order, which a quiet run leaves out of its head."""
    if seed := config.getoption("randomly_seed", None):
        terminalreporter.write_line(f"shuffled; the same order again: pytest -p randomly --randomly-seed={seed}")


if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side, whose threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keep what dlx caches, and its key, out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def alone():
    """Let no test feel the ones before it: random numbers, threads and registries are as at the start of a process."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    before = {kind: dict(known.entries) for kind, known in REGISTRIES.items()}
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    for kind, known in REGISTRIES.items():
        assert before[kind].items() <= known.entries.items(), f"a {kind} was taken out of the registry"
        added = {name for name in known.entries.keys() - before[kind].keys() if not _own(known.entries[name])}
        assert not added, f"{kind}: {added} stayed in the registry"


def _own(constructor):
    """Tell whether a component comes with dlx, or is adopted from torch."""
    return constructor.__module__.startswith(("dlx.", "torch."))


@pytest.fixture
def blank_pictures(monkeypatch):
    """Save figures as a white dot: for tests of where files go, and of numbers; drawing takes most of a short training."""
    content = io.BytesIO()
    Image.new("L", (1, 1), 255).save(content, "png")
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **choices: file.write(content.getvalue()))


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
