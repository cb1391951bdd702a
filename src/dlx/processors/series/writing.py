"""Forecasts beyond the end of a file, written to a folder: dated rows, and a picture of the series that goes on."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.core import Batch
from dlx.errors import DlxError
from dlx.processors.series.window import Window
from dlx.storage import files

DRAWN = 12  # forecasts in a picture
LONGEST = 80  # characters of a file's name that the names of its forecasts begin with


class ForecastFiles:
    """The files of forecasts: one `NAME.forecast.csv` and one `NAME.forecast.png` for each file gone on with."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = targets
        self.begun: dict[tuple[Path, str], Path] = {}

    def write(self, folder: Path, windows: Sequence[Window], answers: Sequence[Mapping[str, Any]], prediction: Batch) -> None:
        """Write the answers of one batch, as many to each window as it has steps ahead; raises DlxError."""
        places = {
            file: [place for place, one in enumerate(windows) if one.file == file]
            for file in dict.fromkeys(w.file for w in windows)
        }
        for file, rows in places.items():
            try:
                self._one(folder, file, rows, windows, answers, prediction)
            except OSError as error:
                raise DlxError(f"{folder}: cannot be written: {error.strerror or error}") from None

    def _one(
        self, folder: Path, file: str, rows: Sequence[int], windows: Sequence[Window], answers: Sequence[Mapping[str, Any]],
        prediction: Batch,
    ) -> None:  # fmt: skip
        steps = len(answers) // len(windows)
        dated = [answer for row in rows for answer in answers[row * steps : (row + 1) * steps]]
        if path := self.begun.get((folder, file)):
            with files.append(path) as opened:
                opened.write(as_csv(dated))
            return
        files.make_folder(folder)
        path = self.begun[folder, file] = _created(folder, file, as_csv([{name: name for name in dated[0]}, *dated]))
        files.save_picture(self.drawn(rows, windows, prediction), path.with_suffix(".png"), replace=False)

    def drawn(self, rows: Sequence[int], windows: Sequence[Window], prediction: Batch) -> Any:
        """Draw the first forecasts of a file behind the ends of their series."""
        from dlx.pictures.forecasts import Panel, forecasts

        value = prediction["value"].double().cpu().numpy()
        bands = prediction["quantile"].double().cpu().numpy() if "quantile" in prediction else None
        levels = prediction["level"][0].tolist() if bands is not None else []
        panels = []
        for row, column in itertools.islice(itertools.product(rows, range(len(self.targets))), DRAWN):
            window, target = windows[row], self.targets[column]
            title = f"{window.name}: {target}" if window.name else target
            some = None if bands is None else bands[row, :, column]
            times = window.times.local.astype("datetime64[us]")
            panels.append(Panel(title, window.values[:, column], value[row, :, column], some, levels, None, times))
        every = len(rows) * len(self.targets)
        return forecasts(panels, f"the first {DRAWN} of {every:,}" if every > DRAWN else "")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Write rows as lines of CSV, numbers with six digits as they are printed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([f"{one:.6g}" if isinstance(one, float) else one for one in row.values()] for row in rows)
    return text.getvalue().encode()


def _created(folder: Path, file: str, content: bytes) -> Path:
    """Create the table beside which there is no picture yet; names that are taken get a number."""
    stem = os.path.splitext(os.path.basename(file))[0][:LONGEST]
    for number in itertools.count(1):
        path = folder / f"{stem if stem.strip('-') else 'series'}{f'-{number}' if number > 1 else ''}.forecast.csv"
        if os.path.lexists(path.with_suffix(".png")):
            continue
        try:
            files.create(path, content)
        except FileExistsError:
            continue
        return path
    raise AssertionError("counting does not end")
