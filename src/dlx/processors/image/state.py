"""The state of an image processor as a checkpoint keeps it, held against what it must be: it may come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dlx.errors import UsageError, dotted
from dlx.processors.image.decoding import MAX_PIXELS, Decoding

Side = Annotated[int, Field(ge=1, le=65536)]
Share = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class DecodingState(_Strict):
    """The settings of a Decoding; those without a default were there from the beginning."""

    height: Side
    width: Side
    channels: Literal[1, 3]
    resize: Literal["squash", "crop", "pad"]
    max_pixels: Annotated[int, Field(ge=1, le=MAX_PIXELS)]
    check_endings: bool = True


class State(_Strict):
    """What an ImageProcessor is made of."""

    decoding: DecodingState
    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    mean: Annotated[list[Share], Field(min_length=1, max_length=3)]
    std: Annotated[list[Deviation], Field(min_length=1, max_length=3)]
    class_names: Annotated[list[str], Field(min_length=1)]


assert set(DecodingState.model_fields) == {field.name for field in fields(Decoding)}


def checked(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an image processor is made of; raises UsageError where the state is something else."""
    try:
        found = State.model_validate(state)
    except ValidationError as error:
        first = error.errors()[0]
        place = f"{dotted(first['loc'])}: " if first["loc"] else ""
        raise UsageError(f"the state of the image processor is damaged: {place}{first['msg']}") from None
    decoding = Decoding(**found.decoding.model_dump())
    if reason := _misfit(found, decoding):
        raise UsageError(f"the state of the image processor is damaged: {reason}")
    return {
        "decoding": decoding, "size": found.size, "mean": found.mean, "std": found.std, "class_names": found.class_names
    }  # fmt: skip


def _misfit(found: State, decoding: Decoding) -> str:
    if decoding.height * decoding.width > MAX_PIXELS:
        return "decoding: too many pixels"
    if found.size[0] > decoding.height or found.size[1] > decoding.width:
        return "size: is larger than what is stored"
    if not len(found.mean) == len(found.std) == decoding.channels:
        return "mean, std: not one for each channel"
    if len(set(found.class_names)) != len(found.class_names):
        return "class_names: a class stands there twice"
    return ""
