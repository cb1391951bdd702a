"""The state of training to a checkpoint's files and back, every tensor by its parameter's name."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dlx.errors import DlxError


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Serialise tensors as safetensors; ones that share memory are written each in full."""
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        value = tensor.detach().contiguous()
        address = value.untyped_storage().data_ptr()
        plain[name] = value.clone() if address in seen else value
        seen.add(address)
    return safetensors.torch.save(plain)


def unpack_tensors(raw: bytes) -> dict[str, Tensor]:
    """Read tensors on the CPU; raises DlxError where the bytes hold none."""
    try:
        return safetensors.torch.load(raw)
    except MemoryError:
        raise
    except Exception as error:  # the library's own, and KeyError for a kind of number that torch does not know
        raise DlxError(f"the checkpoint's tensors cannot be read: {str(error).splitlines()[0]}") from None


def load_module(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors into a module; raises DlxError naming what does not fit."""
    refuse_unfit(module, tensors)
    module.load_state_dict(tensors)


def refuse_unfit(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise DlxError, naming what does not fit, unless tensors are those of a module: all names, shapes, kinds of numbers."""
    own = module.state_dict()
    wrong = [f"{n}: missing" for n in own if n not in tensors] + [f"{n}: unknown" for n in tensors if n not in own]
    wrong += [
        f"{n}: shape {tuple(tensors[n].shape)} for {tuple(own[n].shape)}"
        for n in own
        if n in tensors and own[n].shape != tensors[n].shape
    ]
    both = [n for n in own if n in tensors]
    wrong += [f"{n}: {_kind(tensors[n])} for {_kind(own[n])}" for n in both if not _holds(own[n], tensors[n])]
    if wrong:
        raise DlxError("the checkpoint does not fit the model its config describes: " + "; ".join(wrong[:5]))


def _holds(own: Tensor, given: Tensor) -> bool:
    """Tell whether a tensor takes the other's numbers as they are."""
    return own.dtype == given.dtype or (own.dtype, given.dtype) == (torch.float64, torch.float32)


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def pack_optimizers(
    optimizers: Mapping[str, Optimizer], names: Mapping[Tensor, str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Divide the optimizers' states into tensors and JSON values, keyed PART|PARAMETER|NAME."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for part, optimizer in optimizers.items():
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                kind: dict[str, Any] = tensors if isinstance(value, Tensor) else values
                kind[f"{part}|{names[parameter]}|{key}"] = value
    return tensors, values


def unpack_optimizers(
    optimizers: Mapping[str, Optimizer], names: Mapping[Tensor, str], tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    """Return optimizers to the states of a checkpoint."""
    parameters = {name: parameter for parameter, name in names.items()}
    for full, value in {**tensors, **values}.items():
        part, name, key = (*full.split("|"), "", "")[:3]
        if full.count("|") != 2 or part not in optimizers or name not in parameters:
            raise DlxError(f"the checkpoint's optimizer state {full} belongs to no parameter here")
        parameter = parameters[name]
        if isinstance(value, Tensor):
            # torch's own keep a number for every weight, or one for all of them; a step would read beyond anything else.
            if value.shape != parameter.shape and value.numel() != 1 and _is_torchs(optimizers[part]):
                raise DlxError(f"the checkpoint's optimizer state {full} has the shape {tuple(value.shape)}")
            # A state shaped like its parameter lies beside it, in the same memory format; counters stay on the CPU
            # unless the optimizer is fused there.
            shaped = value.shape == parameter.shape and value.ndim > 0
            fused = optimizers[part].defaults.get("fused") or optimizers[part].defaults.get("capturable")
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value) if shaped else value
            value = value.to(parameter.device) if shaped or fused else value
        optimizers[part].state[parameter][key] = value


def _is_torchs(optimizer: Optimizer) -> bool:
    return type(optimizer).__module__.startswith("torch.optim.") and type(optimizer).__name__ != "Adafactor"


def pack_random(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Write generator states as base64."""
    return {kind: base64.b64encode(value.cpu().numpy().tobytes()).decode() for kind, value in state.items()}


def unpack_random(state: Mapping[str, str]) -> dict[str, Tensor]:
    """Read generator states."""
    return {kind: torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8) for kind, text in state.items()}


def pack_json(value: Any) -> bytes:
    """Write JSON that holds every float exactly."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
