from __future__ import annotations

import numpy as np
import pytest

from trous.apps.deconvolution.story import grey
from trous.demo.photo import SHIPPED, load_photo


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    """The face in the photograph that ships, `(88, 120)`."""
    return grey(load_photo(SHIPPED).pixels[0])[60:148, 100:220]
