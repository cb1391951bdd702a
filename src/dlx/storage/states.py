"""What the kept state of each processor must look like: a state of another shape would be answered wrongly or not at all.

It imports no torch. Keys beside these may be there; a processor of a plugin is asked for nothing but a mapping.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

Size = Annotated[int, Field(ge=1, le=2**24)]
Place = Annotated[int, Field(ge=0)]
Divisor = Annotated[FiniteFloat, Field(gt=0)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class Affine(_Shape):
    """An offset and a divisor a column."""

    kind: Literal["affine"]
    offset: list[FiniteFloat]
    divisor: list[FiniteFloat]

    def widths(self) -> set[int]:
        """Return the numbers of columns that it is made for: one number, where it is sound."""
        if 0.0 in self.divisor:
            raise ValueError("a divisor is 0")
        return {len(self.offset), len(self.divisor)}


class Quantile(_Shape):
    """Rows of quantiles, a value a column, and the rank of each row."""

    kind: Literal["quantile"]
    quantiles: list[list[FiniteFloat]] = Field(min_length=1)
    references: list[FiniteFloat]

    def widths(self) -> set[int]:
        """Return the numbers of columns that it is made for: one number, where it is sound."""
        if len(self.quantiles) != len(self.references):
            raise ValueError(f"{len(self.quantiles)} quantiles for {len(self.references)} references")
        return set(map(len, self.quantiles))


class Numeric(_Shape):
    """Numeric columns, filled and scaled."""

    names: list[str]
    means: list[FiniteFloat] | None
    indicators: list[Place]
    low: list[FiniteFloat] = []  # checkpoints of old lack these three
    high: list[FiniteFloat] = []
    gaps: list[Place] = []
    scaler: Affine | Quantile = Field(discriminator="kind")

    @model_validator(mode="after")
    def agrees(self) -> Self:
        """Refuse statistics of another number of columns."""
        count = len(self.names)
        if self.scaler.widths() != {count} or (self.means is not None and len(self.means) != count):
            raise ValueError(f"the statistics are not those of {count} columns")
        if {len(self.low), len(self.high), len(self.gaps)} not in ({0}, {count}):
            raise ValueError(f"the ranges are not those of {count} columns")
        if any(place >= count for place in self.indicators):
            raise ValueError(f"an indicator is none of {count} columns")
        return self


class Categorical(_Shape):
    """Categorical columns with the values they may have."""

    values: dict[str, list[str]]
    encoding: Literal["one_hot", "index"]
    gaps: dict[str, Place] = {}


class Target(_Shape):
    """The column that is answered: a class, with all names, or a number."""

    kind: Literal["class", "number"]
    column: str
    names: list[str] | None = None
    strip: str = ""
    decimals: Annotated[int, Field(ge=-400, le=400)] | None = None

    @model_validator(mode="after")
    def agrees(self) -> Self:
        """Refuse classes without names."""
        if self.kind == "class" and not self.names:
            raise ValueError("a class target has names")
        return self


class Table(_Shape):
    """The processor `table`."""

    numeric: Numeric
    categorical: Categorical
    target: Target
    columns: list[str]
    missing_values: list[str]
    file_columns: list[str]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)]
    input_shape: list[Size] | None

    @model_validator(mode="after")
    def agrees(self) -> Self:
        """Refuse columns that are read and not there, and a shape that does not hold the features."""
        if lacking := [name for name in (*self.numeric.names, *self.categorical.values) if name not in set(self.columns)]:
            raise ValueError(f"columns lacks {lacking[0]!r}, which is read")
        if self.input_shape is not None and math.prod(self.input_shape) != self.features():
            raise ValueError(f"input_shape {self.input_shape} does not hold {self.features()} features")
        return self

    def features(self) -> int:
        """Count the features of `input`."""
        hot = sum(map(len, self.categorical.values.values())) if self.categorical.encoding == "one_hot" else 0
        return len(self.numeric.names) + len(self.numeric.indicators) + hot

    def fault(self, facts: Mapping[str, Any]) -> str | None:
        """Return what contradicts the facts that the model is built by; None if nothing does."""
        shape = facts.get("input_shape")
        if shape is not None and math.prod(shape) != self.features():
            return f"gives {self.features()} features, but input_shape is {shape}"
        return _classes(self.target.names, facts)


class Decoding(_Shape):
    """What becomes of an image file."""

    height: Size
    width: Size
    channels: Literal[1, 3]
    resize: Literal["squash", "crop", "pad"]
    max_pixels: Annotated[int, Field(ge=1, le=2**40)]


class Image(_Shape):
    """The processor `image`."""

    decoding: Decoding
    size: Annotated[list[Size], Field(min_length=2, max_length=2)]
    mean: list[FiniteFloat]
    std: list[Divisor]
    class_names: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def agrees(self) -> Self:
        """Refuse statistics of another number of channels, and a part larger than the whole."""
        if {len(self.mean), len(self.std)} != {self.decoding.channels}:
            raise ValueError(f"the statistics are not those of {self.decoding.channels} channels")
        if self.size[0] > self.decoding.height or self.size[1] > self.decoding.width:
            raise ValueError("size is larger than what is decoded")
        return self

    def fault(self, facts: Mapping[str, Any]) -> str | None:
        """Return what contradicts the facts that the model is built by; None if nothing does."""
        shape, own = facts.get("input_shape"), [self.decoding.channels, *self.size]
        if shape is not None and shape != own:
            return f"gives images {own}, but input_shape is {shape}"
        return _classes(self.class_names, facts)


class Bounds(_Shape):
    """Actions that are numbers within bounds, or else one of some."""

    low: list[FiniteFloat] | None = None
    high: list[FiniteFloat] | None = None
    count: Size | None = None
    start: int = 0

    @model_validator(mode="after")
    def agrees(self) -> Self:
        """Refuse actions of both kinds and of none, and bounds of another number."""
        if (self.count is None) == (self.low is None) or len(self.low or ()) != len(self.high or ()):
            raise ValueError("is neither a count of actions nor bounds of as many numbers")
        return self


class Control(_Shape):
    """The processor `control`."""

    input_shape: list[Size] = Field(min_length=1)
    pixels: bool
    actions: Bounds

    def fault(self, facts: Mapping[str, Any]) -> str | None:
        """Return what contradicts the facts that the model is built by; None if nothing does."""
        if facts.get("input_shape") not in (None, self.input_shape):
            return f"gives observations {self.input_shape}, but input_shape is {facts['input_shape']}"
        own = facts.get("action_size", facts.get("num_actions"))
        size = self.actions.count or len(self.actions.low or ())
        return None if own in (None, size) else f"has actions of {size}, but the model has {own}"


def _classes(names: list[str] | None, facts: Mapping[str, Any]) -> str | None:
    if names is not None and facts.get("class_names") not in (None, names):
        return "names other classes than the facts"
    return None


STATES: dict[str, type[Table | Image | Control]] = {
    "table": Table,
    "control": Control,
    **dict.fromkeys(("image", "image_boxes", "image_masks"), Image),
}


def fault(name: str, state: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the kept state of a processor, or contradicts the facts; None if nothing is."""
    if name not in STATES:
        return None
    try:
        return STATES[name].model_validate(state).fault(facts)
    except ValidationError as error:
        return told(error, "state")


def told(error: ValidationError, *within: str) -> str:
    """Write the first thing that a document gets wrong, behind its place in the document."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, (*within, *first["loc"])))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
