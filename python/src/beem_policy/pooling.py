"""From the token states of a layer to one vector per row: the same code when features are extracted and when they are served.

Heads are trained on what `beem-policy extract` wrote, and it calls `pool` of this file, as serving does. A second
implementation that differed a little would move every logit a little, and nothing would say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

POOLINGS = ("mean", "cls")


def pool(hidden: torch.Tensor, mask: torch.Tensor | None, pooling: str) -> torch.Tensor:
    """One vector per row, in Float32.

    - hidden: [rows, tokens, width], the states of one layer.
    - mask: [rows, tokens], 1 for a token and 0 for padding; None where nothing is padded, as with images. On a CPU a
      mask of ones gives the same bits as None, only later.
    - pooling: `mean` over the tokens of the mask, or `cls`: the first of them. The mean of an image is over its patches
      and, where the encoder has one, the class token.
    """
    import torch  # here, so that the choices above can be named without it

    hidden = hidden.to(torch.float32)
    if pooling not in POOLINGS:
        raise ValueError(f"pooling: saw {pooling!r}, expected one of {', '.join(POOLINGS)}")
    if mask is None:
        return hidden[:, 0] if pooling == "cls" else hidden.mean(dim=1)
    if pooling == "cls":
        first = mask.to(torch.int64).argmax(dim=1)  # not always 0: some tokenizers pad on the left
        # Not `len`, which an export to ONNX would take for a constant.
        return hidden[torch.arange(hidden.shape[0], device=hidden.device), first]
    weights = mask.to(torch.float32).unsqueeze(-1)
    # Selected, not multiplied, because 0 * inf at a padded place would be NaN.
    kept = torch.where(weights > 0, hidden, torch.zeros((), device=hidden.device))
    return kept.sum(dim=1) / weights.sum(dim=1)
