"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import sys

from trous.errors import TrousError

#: What the commands import that `import trous` does not need, by module, and the names to install it under; then what
#: only those on picture files of any size do, only `deblur`, only those on sound, only those that train, and only the
#: measures of deconvolution.
EXTRA = {"typer": "typer", "rich": "rich", "PIL": "pillow", "torch": "torch"}
PICTURES = {"pyvips": "'pyvips[binary]'", "safetensors": "safetensors"}
DEBLUR = {"scipy": "scipy", "tifffile": "tifffile", "h5py": "h5py"}
SOUND = {"soundfile": "soundfile", "soxr": "soxr", "matplotlib": "matplotlib"}
TRAIN = {"lightning": "lightning", "tensorboard": "tensorboard"}
MEASURED = {
    **{name: name for name in ("scipy", "h5py", "tifffile", "pyproximal", "matplotlib")},
    **{"pyvips": "'pyvips[binary]'", "skimage": "scikit-image"},
}


def main() -> None:
    """Run the command line; bad input ends in one line on standard error and exit code 2."""
    try:
        from trous.cli.app import app

        app(prog_name="trous")
    except TrousError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        needed = next((group for group in (EXTRA, PICTURES, DEBLUR, SOUND, TRAIN, MEASURED) if missing in group), None)
        if needed is None:
            raise
        _fail(f"{needed[missing]} is not installed; the commands need: pip install {' '.join(needed.values())}")


def _fail(message: str) -> None:
    print(f"trous: {message}", file=sys.stderr)
    sys.exit(2)
