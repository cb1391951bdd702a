"""The tables that scikit-learn ships, read from its files: to import it takes longer than to train on them."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MEASURES = [  # of the nuclei of cells
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry"),
    "fractal dimension",
]
COLUMNS = {
    "iris": [f"{part} {side} (cm)" for part in ("sepal", "petal") for side in ("length", "width")],
    "wine": [
        *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
        *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline"),
    ],
    "breast_cancer": [said.format(measure) for said in ("mean {}", "{} error", "worst {}") for measure in MEASURES],
    "diabetes": ["age", "sex", "bmi", "bp", *(f"s{number}" for number in range(1, 7))],
    "digits": [f"pixel_{row}_{column}" for row in range(8) for column in range(8)],
}
FILES = {
    "iris": ("iris.csv",),
    "wine": ("wine_data.csv",),
    "breast_cancer": ("breast_cancer.csv",),
    "diabetes": ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
    "digits": ("digits.csv.gz",),
}


@dataclass(frozen=True)
class Table:
    """Numbers float64 (rows, columns); labels (rows,): of classes int64, else float64; the names of columns and classes."""

    data: np.ndarray
    target: np.ndarray
    columns: list[str]
    classes: list[str]


def read(name: str) -> Table:
    """Read one of the tables of COLUMNS; those of a scikit-learn that keeps its files otherwise, by its own functions."""
    folder = _folder()
    paths = [folder / file for file in FILES[name]]
    if not all(path.is_file() for path in paths):
        return _loaded(name)
    lines = [list(csv.reader(_text(path), delimiter=" " if name == "diabetes" else ",")) for path in paths]
    if name == "diabetes":
        return Table(_numbers(lines[0]), _numbers(lines[1])[:, 0], COLUMNS[name], [])
    # A first line tells the numbers of rows and columns, and the names of the classes; that of the digits is a row.
    classes, rows = ([str(digit) for digit in range(10)], lines[0]) if name == "digits" else (lines[0][0][2:], lines[0][1:])
    found = _numbers(rows)
    return Table(found[:, :-1], found[:, -1].astype(np.int64), COLUMNS[name], classes)


def _folder() -> Path:
    found = importlib.util.find_spec("sklearn")  # which finds it and imports nothing
    return Path(found.origin or "").parent / "datasets" / "data" if found else Path()


def _text(path: Path) -> io.StringIO:
    return io.StringIO((gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode())


def _numbers(rows: list[list[str]]) -> np.ndarray:
    return np.asarray(rows, dtype=np.float64)


def _loaded(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))  # else it is standardised
    classes = [str(label) for label in bunch.get("target_names", [])]
    return Table(bunch.data, bunch.target, list(bunch.feature_names), classes)
