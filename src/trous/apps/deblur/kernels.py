"""The arrays of a PSF's file, each with the name by which it is chosen: pictures, TIFF, NumPy, MATLAB."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trous.apps.deblur.tiff import read_series
from trous.apps.pictures import open_picture
from trous.errors import TrousError

#: A kernel's name in its file, empty if it is all that is there, and the kernel.
Named = tuple[str, np.ndarray]


def kernels(path: Path) -> list[Named]:
    """All kernels of a file, in its order.

    Cell arrays of MATLAB come cell by cell in MATLAB's order, structs field by field. What is empty, text or not made
    of numbers is left out.

    Raises:
        TrousError: there is no such file, it is damaged, or of another kind.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise TrousError("psf", f"must be a file that can be read ({error.strerror})", str(path)) from None
    read = READERS.get(path.suffix.lower(), _picture)
    if not start:
        raise TrousError("psf", "must have a PSF, not be an empty file", str(path))
    found = [(name, array) for name, array in read(path) if array.size and array.dtype.kind in "biufc"]
    if not found:
        raise TrousError("psf", "must have an array of numbers", str(path))
    return found


def _picture(path: Path) -> list[Named]:
    try:
        picture = open_picture(path)
        pixels = picture.rows(0, picture.layout.height)
    except TrousError as error:
        raise TrousError("psf", f"{error.rule}; PSFs are pictures, .tif, .npy, .npz and .mat too", str(path)) from None
    return [("", _grey(pixels, picture.layout.alpha, path))]


def _grey(pixels: np.ndarray, alpha: bool, path: Path) -> np.ndarray:
    """The one channel of `(..., bands)` whose colours are all the same."""
    colours = pixels[..., :-1] if alpha else pixels
    if (colours != colours[..., :1]).any():
        raise TrousError("psf", "must be grey: one blur for all colours", f"{path} (in colour)")
    return colours[..., 0]


def _tiff(path: Path) -> list[Named]:
    try:
        series = read_series(path)
    except TrousError as error:
        raise TrousError("psf", error.rule, error.value) from None
    array = series.array
    if "S" in series.axes:
        array = _grey(np.moveaxis(array, series.axes.index("S"), -1), array.shape[series.axes.index("S")] == 4, path)
    return [("", array)]


def _numpy(path: Path) -> list[Named]:
    try:
        with path.open("rb") as file:  # which np.load would leave open where it fails
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return [("", loaded)]
            return [(name, loaded[name]) for name in loaded.files]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from None


def _matlab(path: Path) -> list[Named]:
    """Up to version 7 by SciPy; version 7.3 is HDF5."""
    import h5py
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        if not h5py.is_hdf5(path):
            variables = loadmat(path)
            return [found for name in variables if not name.startswith("__") for found in _cells(name, variables[name])]
        with h5py.File(path, "r") as file:
            return [found for name in file if name != "#refs#" for found in _hdf5(name, file[name], file)]
    except (MatReadError, ValueError, TypeError, KeyError, EOFError, OSError, zlib.error, NotImplementedError) as error:
        raise _damaged(path, error) from None


def _cells(name: str, value: Any) -> Iterator[Named]:
    """What a variable holds: cells are arrays of objects, structs of records; MATLAB's first axis runs fastest."""
    if value.dtype.names:
        for field in value.dtype.names:
            yield from _cells(f"{name}.{field}", value[field])
    elif value.dtype.kind == "O":
        found = [cell for cell in value.ravel("F") if isinstance(cell, np.ndarray)]
        for number, cell in enumerate(found, 1):
            yield from _cells(f"{name}:{number}" if len(found) > 1 else name, cell)
    else:
        yield name, value


def _hdf5(name: str, value: Any, file: Any) -> Iterator[Named]:
    """The same in version 7.3: cells are references, structs groups, and the axes are in the opposite order."""
    import h5py

    if isinstance(value, h5py.Group):
        for field in value:
            yield from _hdf5(f"{name}.{field}", value[field], file)
    elif "MATLAB_empty" in value.attrs or value.attrs.get("MATLAB_class") == b"char":
        return
    elif h5py.check_ref_dtype(value.dtype):
        cells = value[()].ravel()
        for number, cell in enumerate(cells, 1):
            yield from _hdf5(f"{name}:{number}" if len(cells) > 1 else name, file[cell], file)
    else:
        yield name, value[()].T


def _damaged(path: Path, error: Exception) -> TrousError:
    said = str(error).partition("\n")[0].rstrip(".")
    return TrousError("psf", f"must be undamaged{f' ({said})' if said else ''}", str(path))


READERS: dict[str, Callable[[Path], list[Named]]] = {
    ".tif": _tiff,
    ".tiff": _tiff,
    ".npy": _numpy,
    ".npz": _numpy,
    ".mat": _matlab,
}
