"""A short draw from benchmarks/checkpoint_faults.py: failing system calls and kills, by strace."""

import importlib.util
import random
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "checkpoint_faults.py"


def test_no_failing_system_call_costs_a_checkpoint(tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-e", "trace=fsync", "true"], capture_output=True).returncode:
        pytest.skip("tracing processes is not permitted here")
    spec = importlib.util.spec_from_file_location("checkpoint_faults", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)

    faults = benchmark.injections(tmp_path)
    needed = {"openat", "write", "fsync", "rename", "mkdir", "close", "symlink", "unlinkat"}
    assert needed <= {fault.call for fault in faults}
    faults = random.Random(1).sample([fault for fault in faults if fault.call in needed], 12)
    results = benchmark.try_all(tmp_path, faults, lambda text: None)
    assert [row for row in results if row[2]] == []
