"""What an autoencoder is held against: principal components, and how well errors tell strangers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.spec import integer

#: Images that are in memory as float64 at one time.
_TOGETHER = 4096


@dataclass(frozen=True)
class Components:
    """The mean of images and the directions in which they vary most: `(values,)` and `(n, values)`, orthonormal."""

    mean: np.ndarray
    directions: np.ndarray

    def reconstruct(self, images: Any) -> np.ndarray:
        """Images `(count, values)` from their coordinates in these directions, in float64."""
        centred = np.asarray(images, np.float64) - self.mean
        return self.mean + centred @ self.directions.T @ self.directions


def principal_components(images: Any, count: int) -> Components:
    """The `count` directions that leave the least squared error of `images`, `(images, values)`.

    Eigenvectors of the covariance matrix (Pearson 1901, Hotelling 1933), those of the largest eigenvalues first. Any
    linear encoder and decoder with `count` code values has at least this error on these images. Raises TrousError for
    another shape, or more directions than values.
    """
    array = np.asarray(images)
    if array.ndim != 2 or not array.size:
        raise TrousError("images", "must have shape (images, values)", array.shape)
    integer("count", count, 1, array.shape[1])
    mean = array.mean(axis=0, dtype=np.float64)
    spread = np.zeros((array.shape[1],) * 2)
    for start in range(0, len(array), _TOGETHER):
        centred = array[start : start + _TOGETHER] - mean
        spread += centred.T @ centred
    _, vectors = np.linalg.eigh(spread)  # smallest first
    return Components(mean, vectors[:, ::-1][:, :count].T.copy())


def squared_errors(images: Any, others: Any) -> np.ndarray:
    """The mean squared error of each image, over all but the first axis."""
    difference = np.asarray(images, np.float64) - np.asarray(others, np.float64)
    return np.square(difference).reshape(len(difference), -1).mean(axis=1)


def auroc(scores: Any, strange: Any) -> float:
    """The probability that something strange scores higher than something that is not, ties counting half.

    It is the area under the receiver operating characteristic, exactly, from ranks (Mann & Whitney 1947; Hanley &
    McNeil 1982). `strange` tells which of `scores` should be high. Raises TrousError where all or none are.

    >>> auroc([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
    0.875
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(strange, bool)
    if values.shape != truth.shape or values.ndim != 1:
        raise TrousError("strange", f"must have the scores' shape {values.shape}, one axis", truth.shape)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        raise TrousError("strange", "must be true for some and false for others", positives)
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # the mean rank of equal scores, from 1
    return float((rank[place][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))
