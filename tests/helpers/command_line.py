"""Commands as they are typed, run in the tests' own process."""

import sys

import pytest

from dlx import cli


def typed(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command: its exit code, standard output and standard error, which holds no traceback."""
    monkeypatch.setattr(sys, "argv", ["dlx", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return caught.value.code or 0, out, err
