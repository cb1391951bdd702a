"""Contestants of text_speed.py: hand-written loops over nn.Transformer."""

from __future__ import annotations

from typing import Any

import text_common as common
from text_common import Words, timed


def network() -> Any:
    """Make PyTorch's own Transformer with embeddings tied to its output, the sizes of dlx's."""
    import torch
    from torch import nn

    from dlx.layers.attention import sinusoids

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(common.VOCABULARY, common.SIZE, padding_idx=common.PADDING)
            nn.init.normal_(self.embedding.weight, 0, common.SIZE**-0.5)
            self.register_buffer("positions", sinusoids(512, common.SIZE))
            self.dropout = nn.Dropout(common.DROPOUT)
            self.body = nn.Transformer(
                common.SIZE,
                common.HEADS,
                common.ENCODERS,
                common.DECODERS,
                common.WIDE,
                common.DROPOUT,
                batch_first=True,
                norm_first=True,
            )
            self.output = nn.Linear(common.SIZE, common.VOCABULARY)
            self.output.weight = self.embedding.weight

        def embed(self, codes):
            return self.dropout(self.embedding(codes) * common.SIZE**0.5 + self.positions[: codes.shape[1]])

        def forward(self, source, previous):
            padding = source == common.PADDING
            # What pads an answer lies behind it, where the causal mask lets no piece look: it needs no mask of its own.
            causal = nn.Transformer.generate_square_subsequent_mask(previous.shape[1])
            steps = self.body(
                self.embed(source), self.embed(previous), tgt_mask=causal, tgt_is_causal=True,
                src_key_padding_mask=padding, memory_key_padding_mask=padding,
            )  # fmt: skip
            return self.output(steps)

    torch.manual_seed(0)
    return Translator()


def loss_of(model: Any, batch: Words) -> Any:
    """Compute the smoothed loss of a batch."""
    from torch.nn.functional import cross_entropy

    target = batch["target"]
    logits = model(batch["input"], target[:, :-1].clamp_min(0))
    return cross_entropy(
        logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=common.NOTHING, label_smoothing=common.SMOOTHING
    )


def loop(batches: list[Words], epochs: int, threads: int, fused: bool = False) -> dict[str, float]:
    """Train as one writes it."""
    import torch

    model = network()
    optimizer = torch.optim.Adam(model.parameters(), common.RATE, common.BETAS, fused=fused)

    def step(batch):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    tensors = [{word: torch.from_numpy(value) for word, value in batch.items()} for batch in batches]
    return timed(step, tensors, epochs) | {"parameters": sum(p.numel() for p in model.parameters())}


def tuned(batches: list[Words], epochs: int, threads: int) -> dict[str, float]:
    """Train with the fused optimizer; the environment keeps pages of memory."""
    return loop(batches, epochs, threads, fused=True)


def like_ours(ours: Any) -> Any:
    """Make PyTorch's Transformer with the weights of dlx's."""
    import torch

    model = network()
    weights = {"embedding.weight": "source.embedding.weight", "output.bias": "output.vocabulary.bias"}
    for side in ("encoder", "decoder"):
        weights |= {f"body.{side}.norm.{kind}": f"{side}_norm.{kind}" for kind in ("weight", "bias")}
        for number in range(common.ENCODERS if side == "encoder" else common.DECODERS):
            names = {
                "self_attn.in_proj_": "attention.project.", "self_attn.out_proj.": "attention.join.", "norm1.": "norm.",
                "linear1.": "widen.", "linear2.": "narrow.", "norm2." if side == "encoder" else "norm3.": "dense_norm.",
            }  # fmt: skip
            if side == "decoder":
                names |= {"norm2.": "memory_norm.", "multihead_attn.out_proj.": "memory_attention.join."}
            for theirs, own in names.items():
                for kind in ("weight", "bias"):
                    weights[f"body.{side}.layers.{number}.{theirs}{kind}"] = f"{side}.{number}.{own}{kind}"
    state = ours.state_dict()
    found = {theirs: state[own] for theirs, own in weights.items()}
    for number in range(common.DECODERS):
        for kind in ("weight", "bias"):
            parts = [state[f"decoder.{number}.memory_attention.{part}.{kind}"] for part in ("query", "remember")]
            found[f"body.decoder.layers.{number}.multihead_attn.in_proj_{kind}"] = torch.cat(parts)
    found["output.weight"], found["positions"] = found["embedding.weight"], model.positions
    model.load_state_dict(found)
    return model
