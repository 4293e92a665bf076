"""Weights that stay as they are, so that what calls do to a weight is done once.

Machine code multiplies weights in an order of its own (panels). To bring them there costs as much as multiplying each
with some tens of inputs, at every call; on the small maps of many channels inside a network that is most of the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trous.arrays import address

if TYPE_CHECKING:
    from trous.backends.execute import Ready

#: Orders that one weight is kept in at most: where sizes, dtypes or formats differ it may take more than one.
ORDERS = 4


class Frozen:
    """A weight for `trous.conv` and `trous.conv_transpose` whose numbers stay as they are; made by `freeze`."""

    def __init__(self, array: Any):
        self.array = array
        self._state: tuple[int, int] = (0, 0)
        self._panels: dict[str, np.ndarray] = {}  # by order, the oldest first

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def run(self, ready: Ready, x: Any, bias: Any, residual: Any) -> Any:
        """The output of a call that was made ready for this weight."""
        packed = ready.packed
        if packed is None:
            return ready(x, self.array, bias, residual)
        where = address(self.array)
        state = where, version(self.array)
        if state != self._state:
            self._panels, self._state = {}, state
        panels = self._panels.get(packed.key)
        if panels is None:
            panels = _on_cache_lines(packed.size)
            packed.pack(0, where, 0, 0, address(panels))
            self._panels[packed.key] = panels
            for oldest in list(self._panels)[:-ORDERS]:
                self._panels.pop(oldest, None)
        return ready.with_panels(x, panels, bias, residual)

    def __reduce__(self) -> Any:
        return freeze, (self.array,)

    def __repr__(self) -> str:
        return f"trous.freeze({self.array!r})"


def freeze(w: Any) -> Frozen:
    """`w` as a weight for `conv` and `conv_transpose` that stays as it is, which saves bringing it into the order that
    machine code multiplies in at every call.

    It can be given wherever `w` can, any number of times, with any input. Results are the same bit for bit. It keeps a
    copy of the weight in that order, up to four where calls differ in what order they take.

    Args:
        w: a NumPy array or a torch tensor: `(out_channels, in_channels/groups, *kernel)`, transposed
            `(in_channels, out_channels/groups, *kernel)`. Its numbers must not change any more. Changes of a tensor
            that torch counts, those by optimisers, `load_state_dict` or `copy_`, are noticed and obeyed; changes of
            NumPy's arrays, and of a tensor through `.data`, are not.

    >>> w = freeze(np.ones((1, 1, 3)))
    >>> conv(np.ones((1, 1, 5)), w)
    array([[[3., 3., 3.]]])
    """
    return w if isinstance(w, Frozen) else Frozen(w)


def version(array: Any) -> int:
    """How often torch has seen the numbers of a tensor change; 0 of what it does not count."""
    if isinstance(array, np.ndarray) or array.is_inference():
        return 0
    return int(array._version)


def _on_cache_lines(size: int) -> np.ndarray:
    memory = np.empty(size + 64, np.uint8)
    ahead = -address(memory) % 64
    return memory[ahead : ahead + size]
