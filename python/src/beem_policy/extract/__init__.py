"""`beem-policy extract`: features of texts or images, layer by layer, as a feature cache for `beem`.

Reading data, drawing the train split and writing the cache need NumPy alone; what runs the encoder (`extraction.py`) needs
the extra `torch`, and is imported when it runs.
"""

from .command import add_command

__all__ = ["add_command"]
