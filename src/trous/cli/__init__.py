"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import sys

from trous.errors import TrousError

#: What the commands import that `import trous` does not need, by module, and the names to install it under.
EXTRA = {"typer": "typer", "rich": "rich", "PIL": "pillow", "torch": "torch"}
#: What only the commands with trained networks import; they are in the extra "train".
TRAIN = ("safetensors", "lightning", "tensorboard")


def main() -> None:
    """Run the command line; bad input ends in one line on standard error and exit code 2."""
    try:
        from trous.cli.app import app

        app(prog_name="trous")
    except TrousError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in TRAIN:
            _fail(f"{missing} is not installed; this command needs: pip install 'trous[train]'")
        if missing not in EXTRA:
            raise
        _fail(f"{EXTRA[missing]} is not installed; the commands need: pip install {' '.join(EXTRA.values())}")


def _fail(message: str) -> None:
    print(f"trous: {message}", file=sys.stderr)
    sys.exit(2)
