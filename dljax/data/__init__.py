"""What is learnt from: data sets by name or path, streams of batches, augmentations."""

from dljax.data.augment import shift
from dljax.data.images import ImageData, load
from dljax.data.scaling import Columns, Pixels
from dljax.data.store import fetch

__all__ = ["Columns", "ImageData", "Pixels", "fetch", "load", "shift"]
