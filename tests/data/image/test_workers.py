import gc
import logging
import os
import signal

import pytest
import torch
from tests.data.image.test_cache import decode_here
from tests.helpers.image_files import build, caches, inputs, splits

from dlx.data.image import cache as image_cache
from dlx.data.image import worker as image_worker
from dlx.data.image import workers as image_workers
from dlx.errors import DlxError


@pytest.fixture
def folder(tmp_path):
    return splits(tmp_path / "data")


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_without_a_cache_batches_are_the_same_by_any_number_of_workers(folder, num_workers):
    kept, decoded = build(folder), build(folder, cache="none", num_workers=num_workers)
    for _ in range(2):
        for one, other in zip(kept.train(), decoded.train(), strict=True):
            assert torch.equal(one["input"], other["input"])
    training = decoded.train()  # an evaluation may come between two batches
    next(training)
    evaluated = torch.cat([b["input"] for b in decoded.evaluate(None, "test")])
    assert torch.equal(evaluated, torch.cat([b["input"] for b in kept.evaluate(None, "test")]))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_file_that_is_lost_while_training_is_named(folder, num_workers):
    source = build(folder, cache="none", num_workers=num_workers)
    (folder / "train/cat/03.png").unlink()
    with pytest.raises(DlxError, match=r"train/cat/03.png: cannot be read: No such file"):
        list(source.train())


def test_workers_without_a_cache_end_with_their_data_set(folder):
    source = build(folder, cache="none", num_workers=2)
    decode = source.data["train"]["input"].decode
    processes, scratch = [worker.process for worker in decode.workers.processes], decode.scratch
    assert [process.poll() for process in processes] == [None, None]
    assert os.fstat(scratch.fileno()).st_size > 0
    del source, decode
    gc.collect()
    assert [process.poll() for process in processes] == [-signal.SIGKILL] * 2
    assert scratch.closed


def test_workers_decode_the_same_and_heed_no_signal(folder, monkeypatch):
    alone = decode_here((str(folder), str(folder.parent / "alone")))
    monkeypatch.setattr(image_workers, "ALONE", 0)
    monkeypatch.setattr(image_cache, "CHUNK", 5)
    serve = image_worker.Worker.serve

    def disturbed(self, first, *rest):
        answer = serve(self, first, *rest)
        os.kill(self.process.pid, signal.SIGINT)
        os.kill(self.process.pid, signal.SIGTERM)
        return answer

    monkeypatch.setattr(image_worker.Worker, "serve", disturbed)
    assert decode_here((str(folder), str(folder.parent / "many"))) == alone
    one, other = (
        next((folder.parent / name / "dlx-images").glob("images-*/pixels")).read_bytes() for name in ("alone", "many")
    )
    assert one == other


def test_a_worker_that_dies_or_hangs_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(image_workers, "ALONE", 0)
    serve = image_worker.Worker.serve

    def killed(self, *order):
        self.process.kill()
        self.process.wait()
        return serve(self, *order)

    monkeypatch.setattr(image_worker.Worker, "serve", killed)
    with pytest.raises(DlxError, match=r"failed while decoding test/cat/00.png to .*it was killed, perhaps"):
        build(folder)
    monkeypatch.setattr(image_worker.Worker, "serve", serve)
    monkeypatch.setattr(image_worker, "TIMEOUT", 0.0)
    monkeypatch.setattr(image_worker, "PULSE", 0.0)
    with pytest.raises(DlxError, match="took more than 0 seconds"):
        build(folder, num_workers=1)
    assert caches(folder) == {}


def test_a_stopped_worker_is_told_and_goes_on_when_it_may(folder, monkeypatch, caplog):
    monkeypatch.setattr(image_worker, "STOPPED", 0.2)
    monkeypatch.setattr(image_worker, "PULSE", 0.05)
    source = build(folder, cache="none", num_workers=1)
    (worker,) = source.data["train"]["input"].decode.workers.processes
    expected = inputs(source, "test")
    os.kill(worker.process.pid, signal.SIGSTOP)

    def wake():
        if "is stopped; `kill -CONT" in caplog.text:
            os.kill(worker.process.pid, signal.SIGCONT)

    source.listen(wake)
    with caplog.at_level(logging.WARNING, "dlx"):
        assert torch.equal(inputs(source, "test"), expected)
    assert f"waiting for process {worker.process.pid}, which decodes test/cat/00.png to test/dog/02.png" in caplog.text


class Stop(Exception):
    pass


def test_who_waits_for_a_stopped_worker_may_stop_and_leaves_nothing_behind(folder):
    def stop():
        raise Stop

    for ask in (lambda source: next(source.train()), lambda source: inputs(source, "test")):
        source = build(folder, cache="none", num_workers=1)
        (worker,) = source.data["train"]["input"].decode.workers.processes
        os.kill(worker.process.pid, signal.SIGSTOP)
        source.listen(stop)
        with pytest.raises(Stop):
            ask(source)
        assert worker.process.poll() == -signal.SIGKILL
