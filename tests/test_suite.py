"""What every test keeps to: none is judged by a clock."""

import ast
from pathlib import Path

import hypothesis
import pytest

FILES = sorted(Path(__file__).parent.rglob("*.py"))
CLOCKS = {"perf_counter", "perf_counter_ns", "monotonic", "process_time", "thread_time", "timeit", "default_timer", "getrusage"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_test_reads_a_clock(file):
    """A machine may be slow, or busy: speeds are measured in benchmarks/, waits only guard against hanging."""
    read = [
        node.lineno for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    ]
    assert read == []


def test_no_example_of_hypothesis_has_a_deadline():
    assert hypothesis.settings.default.deadline is None
