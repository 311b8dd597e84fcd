"""What generating a caption costs in multiply-adds, counted from the dimensions: layers, heads, and what exits add."""

from __future__ import annotations

from dataclasses import dataclass

from model import Shape


@dataclass(frozen=True)
class Costs:
    """Multiply-adds of the parts of a captioner. Norms, softmax and biases are not counted; they are below 1 %."""

    shape: Shape

    def image(self) -> int:
        """Once an image, whatever exits do: the head convolution and the linear map to the decoder's width."""
        shape = self.shape
        return shape.cells * (shape.cell_width * shape.head_width + shape.head_width * shape.width)

    def image_keys(self) -> int:
        """Once an image and layer that any of its tokens reaches: keys and values of the image."""
        return self.shape.cells * 2 * self.shape.width**2

    def layer(self, position: int) -> int:
        """A layer at a position, counted from 0, without the keys and values of its own token (see `token_keys`)."""
        width = self.shape.width
        linear = (2 + 2) * width**2 + 2 * width * self.shape.inner
        attention = 2 * width * (position + 1) + 2 * width * self.shape.cells
        return linear + attention

    def token_keys(self) -> int:
        """Keys and values of a token in a layer: part of the layer, or made later from where the token left."""
        return 2 * self.shape.width**2

    def head(self, rank: int | None = None) -> int:
        """An exit's head: the square map and the output matrix, or two factors of rank `rank` in their place."""
        width, words = self.shape.width, self.shape.vocabulary
        if rank is None:
            return width**2 + width * words
        return rank * (width + words)

    def head_in_layers(self, rank: int | None = None) -> float:
        """A head as a part of a layer at the middle of a caption of ten words."""
        return self.head(rank) / (self.layer(5) + self.token_keys())
