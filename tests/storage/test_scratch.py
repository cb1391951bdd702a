import os
import signal
import subprocess
import sys
import tempfile

import pytest

from dlx.storage import scratch

KILLED = """
import os
from dlx.storage import scratch
with scratch.folder() as place:
    print(place, flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_scratch_folder_ends_with_its_block_however_that_ends(place):
    def fail():
        with scratch.folder() as folder:
            (folder / "file").write_text("1")
            assert folder.stat().st_mode & 0o777 == 0o700
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list(place.iterdir())


def test_what_a_killed_process_left_is_swept_and_nothing_else(place):
    done = subprocess.run(
        [sys.executable, "-c", KILLED], env=os.environ | {"TMPDIR": str(place)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    assert str(left) == done.stdout.strip()
    (place / "dlx-scratch-file").write_text("mine")
    (place / "mine").mkdir()
    (place / "dlx-scratch-link").symlink_to(place / "mine")
    with scratch.folder() as used:
        os.utime(used, (0, 0))
        with scratch.folder() as other:
            names = {path.name for path in place.iterdir()}
            assert names == {left.name, "dlx-scratch-file", "dlx-scratch-link", "mine", used.name, other.name}
            os.utime(left, (0, 0))
    with scratch.folder():
        assert not left.exists()
