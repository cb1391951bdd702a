"""The small tables that scikit-learn ships: iris, wine, breast_cancer and diabetes."""

from __future__ import annotations

import torch
from pydantic import PositiveInt

from dlx.core import Processor, Source
from dlx.data import shipped
from dlx.data.splits import Fraction, SplitSeed, draw
from dlx.data.table.source import NumberTable
from dlx.processors.targets import ClassTarget, NumberTarget, Target
from dlx.registry import sources

TABLES = {
    "iris": "Iris: 150 flowers, 4 measures in cm, 3 species (Fisher 1936).",
    "wine": "Wine: 178 wines, 13 chemical measures, 3 growers (Forina et al. 1991).",
    "breast_cancer": "Breast cancer: 569 tumours, 30 measures of cell nuclei, malignant or benign (Street et al. 1993).",
    "diabetes": "Diabetes: 442 patients, 10 raw measures, progression after a year (Efron et al. 2004).",
}
CHOICES = """

`val` and `test` are fractions of all rows; `split_seed` draws them, so that they do not change with the seed, and
every class keeps its share. `standardize` gives each column mean 0 and deviation 1 on the training rows.
"""


def _register(name: str, summary: str) -> None:
    def build(
        seed: int,
        processor: Processor | None = None,
        wanted_splits: frozenset[str] | None = None,
        *,
        batch_size: PositiveInt = 32,
        drop_last: bool = False,
        val: Fraction = 0.2,
        test: Fraction = 0.2,
        split_seed: SplitSeed = 0,
        standardize: bool = True,
    ) -> Source:
        table, target = _load(name, {"val": val, "test": test, "split_seed": split_seed})
        made = table.kept(processor) or table.fit(target, "standard" if standardize else "none")
        return table.source(seed, made, wanted_splits, batch_size, drop_last)

    build.__name__, build.__doc__ = name, summary + CHOICES
    sources.adopt(name, build)


def _load(name: str, drawing: dict) -> tuple[NumberTable, Target]:
    table = shipped.read(name)
    target: Target
    if name == "diabetes":
        target, classes = NumberTarget.fit("progression", list(map(repr, table.target.tolist()))), None
        labels = torch.tensor(table.target, dtype=torch.float64)[:, None]
    else:
        target = ClassTarget("class", table.classes)
        classes = [target.names[label] for label in table.target]
        labels = torch.tensor(table.target, dtype=torch.int64)
    return NumberTable(table.data, labels, table.columns, draw(len(labels), **drawing, labels=classes)), target


for _name, _summary in TABLES.items():
    _register(_name, _summary)
