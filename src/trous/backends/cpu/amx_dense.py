"""Dense layers in bfloat16 on AMX: sums over taps and channels of products of tiles, in float32.

The inputs that a stretch of steps needs, its *window*, are copied into the cache once, zeros where there are none, so
that every tap finds what it reads at a fixed distance. A window consists of *planes* of `plane_rows x pitch` steps of
which a tap reads one: the residues of a stride, and what a far dilation leaves apart. Steps are counted through the
rows of a plane, `p = row*pitch + x`; sums of the steps behind the end of a row are not stored.

A product has two tiles of 16 steps, and `tiles` of 16 output channels, each the sum over taps and tiles of input
channels. Where few channels leave a tile empty, all phases of a transposed layer share it.

- `along_positions` (channels-first): `C[channel][step] += weight[channel][input] * window[input pair][step]`.
- else (channels-last): `C[step][channel] += window[step][input] * weight[input pair][channel]`.

Neither has to transpose inputs or outputs. But in the former a tap that is not a multiple of 16 steps away reads rows
that each lie on two cache lines, at half the rate. Where that costs more than transposing, channels-first layers are
`turned`: multiplied as channels-last ones, inputs transposed as they are copied, sums before they are stored.

Roofline: with 2 x 2 tiles four loads serve four products; tiles are loaded from L2 at the rate at which they are
multiplied, 2.2 of 2.9 TFLOP/s measured on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.activations import finish, slope_vector
from trous.backends.cpu.amx import ROWS, Tiles, rounded_pair
from trous.backends.cpu.amx_inputs import Window
from trous.backends.cpu.amx_weights import TILE, Panels
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import Int, Variable
from trous.backends.epilogue import NOTHING, Epilogue

#: Records of the tables: taps, one for each tile of input channels (place in the panel, place in the window, offsets
#: along z, y, x), live taps (the first two), groups of phases (first part, part after the last, first store, store
#: after the last), stores (phases along z, y, x, first row of sums, rows to that of the next phase).
TAP, LIVE, GROUP, STORE = 5, 2, 4, 5
#: Steps of a product.
STEPS = 2 * ROWS

FIELDS = Fields(
    numbers=(
        *("groups", "batch", "in_channels", "out_channels", "rows_each", "columns_each", "windows_y", "windows_x"),
        *("windows", "planes_count", "plane_rows", "pitch", "window_pitch", "k_tiles", "k_width"),
        *("block_channels", "blocks", "blocks_each", "panel_block", "holes", "kernel", "pairs"),
        *("group_count", "part_count", "sums_pitch", "tile_rows", "slope"),
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x", "y_n", "y_c", "y_z", "y_y", "y_x"),
        *("w_group", "w_in", "w_out"),
    ),
    arrays=(
        *("x", "w", "bias", "y", "residual", "configuration", "planes", "taps", "tap_at", "part_rows", "phase_groups"),
        *("stores", "weight_at", "weight_from"),
    ),
    scratch=("window", "masks", "panels", "square", "sums", "turned", "live", "live_at"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    along_positions: bool
    turned: bool  #: positions are neighbours in memory, channels in the product
    tiles: int  #: of output channels in a product
    interleaved: int  #: phases of the last axis that are stored together
    shared: bool  #: all phases share tiles, so that phases without a tap where others have one multiply by zero
    step: int  #: elements between neighbours along the copied direction, as `windows.near` has them
    beside: str  #: what lies side by side among the weights, as `amx_weights` has it
    contiguous_y: bool
    epilogue: Epilogue = NOTHING
    checked: bool = False

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.shared, self.contiguous_y, self.checked))
        way = ("turned" if self.turned else "positions") if self.along_positions else "channels"
        return f"amx_{way}{self.epilogue.word}_{self.tiles}_p{self.interleaved}_x{self.step}_{self.beside}_{flags}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Dense(shape).build()


class _Dense:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.bias, self.rounded = k.array("bias", "bfloat16"), k.array("y", "bfloat16")
        self.y = k.array("y", "int16")
        self.residual = k.array("residual", "bfloat16") if shape.epilogue.residual else None
        self.slope = slope_vector(k, "float32", ROWS) if shape.epilogue.activation == "leaky_relu" else None
        self.configuration, self.taps, self.tap_at, self.part_rows, self.phase_groups, self.stores = (
            k.array(name, "int64")
            for name in ("configuration", "taps", "tap_at", "part_rows", "phase_groups", "stores")
        )
        self.sums = k.part("sums", "float32")
        self.finished = k.part("turned", "float32") if shape.turned else self.sums  #: `[channel][step]`
        self.rows_are_channels = shape.along_positions and not shape.turned
        self.live, self.live_at = k.part("live", "int64"), k.part("live_at", "int64")
        self.window = Window(k, shape.along_positions, shape.turned, shape.step, watched=shape.shared)
        self.panels = Panels(k, self.rows_are_channels, shape.tiles, shape.beside)
        self.tiles = Tiles(self.fn)

    def build(self) -> str:
        k, fn = self.k, self.fn
        self.tiles.configure(self.configuration)
        self.window.clear_rest()
        self.panels.clear()
        packed, filled = Variable(fn, -1), Variable(fn, -1)  # the set of blocks, the group, that lie in the scratch
        with fn.loop(k.begin, k.end) as item:
            set_number, rest = item // k.windows, item % k.windows
            first = set_number * k.blocks_each
            last = fn.min(first + k.blocks_each, k.blocks * k.groups)
            with fn.when(packed.get().differs(set_number)):
                with fn.loop(first, last) as block:
                    self.panels.pack(block // k.blocks, block % k.blocks, block - first)
                packed.set(set_number)
            mx, rest = rest % k.windows_x * k.columns_each, rest // k.windows_x
            my, rest = rest % k.windows_y * k.rows_each, rest // k.windows_y
            mz, n = rest % k.steps_z, rest // k.steps_z
            rows = fn.min(k.rows_each, k.steps_y - my)
            columns = fn.min(k.columns_each, k.steps_x - mx)
            self.find_live(mz * k.down_z, my * k.down_y, mx * k.down_x, rows, columns)
            filled.set(-1)
            with fn.loop(first, last) as block:
                group, channel = block // k.blocks, block % k.blocks * k.block_channels
                with fn.when(filled.get().differs(group)):
                    self.window.fill(n, group, mz * k.down_z, my * k.down_y, mx * k.down_x, rows, columns)
                    filled.set(group)
                y = n * k.y_n + group * k.out_channels * k.y_c
                # Zero times infinity is not zero: such windows are multiplied phase by phase.
                start = self.window.strange.get() if self.shape.shared else fn.number(0)
                with fn.loop(start, start + 1 if self.shape.shared else k.group_count) as number:
                    phases = self.phase_groups.at(number * GROUP)
                    with fn.loop(0, (rows - 1) * k.pitch + columns, STEPS) as position:
                        with fn.loop(phases[0], phases[1]) as part:
                            self.multiply((block - first) * k.panel_block, part, position)
                        if self.shape.turned:
                            self.turn()
                        with fn.loop(phases[2], phases[3]) as store:
                            self.store(store, y, group, channel, mz, my, mx, rows, columns, position)
        self.tiles.release()
        return k.finish()

    def find_live(self, z: Int, y: Int, x: Int, rows: Int, columns: Int) -> None:
        """For each part the taps that find anything of the window's steps inside the image."""
        k, fn = self.k, self.fn
        count = Variable(fn, 0)
        with fn.loop(0, k.part_count) as part:
            self.live_at[part] = count.get()
            with fn.loop(self.tap_at[part], self.tap_at[part + 1]) as number:
                tap = self.taps.at(number * TAP)
                low_z, low_y, low_x = z + tap[2], y + tap[3], x + tap[4]
                inside = (low_z >= 0) & (low_z < k.in_z) & (low_y < k.in_y) & (low_x < k.in_x)
                inside = inside & (low_y + (rows - 1) * k.down_y >= 0) & (low_x + (columns - 1) * k.down_x >= 0)
                with fn.when(inside):
                    live = self.live.at(count.get() * LIVE)
                    live[0], live[1] = tap[0], tap[1]
                    count.set(count.get() + 1)
        self.live_at[k.part_count] = count.get()

    def multiply(self, panel: Int, part: Int, position: Int) -> None:
        """The sums of one part of the channels and phases, for the steps from `position` on."""
        k, fn, wide = self.k, self.fn, self.shape.tiles
        steps = range(2)
        first_weight, first_input = 2 * wide, 3 * wide
        for tile in range(2 * wide):
            self.tiles.clear(tile)
        in_pairs = (k.k_width // 2, fn.number(2 * ROWS))
        if self.rows_are_channels:
            weight_shape, input_shape = (k.tile_rows, k.k_width), in_pairs
        else:
            weight_shape, input_shape = in_pairs, (fn.number(ROWS), k.k_width)
        with fn.loop(self.live_at[part], self.live_at[part + 1]) as number:
            live = self.live.at(number * LIVE)
            weights, inputs = panel + live[0], live[1] + position * self.window.per_step
            for v in range(wide):
                self.tiles.load(first_weight + v, self.panels.part, weights + v * TILE, 2 * ROWS, *weight_shape)
            for i in steps:
                start = inputs + self.window.per_step * (i * ROWS)
                self.tiles.load(first_input + i, self.window.part, start, k.window_pitch, *input_shape)
            for i in steps:
                for v in range(wide):
                    factors = (first_weight + v, first_input + i)
                    a, b = factors if self.rows_are_channels else factors[::-1]
                    self.tiles.multiply_add(i * wide + v, a, b)
        first = self.part_rows[part]
        for i in steps:
            for v in range(wide):
                row, column = first + v * ROWS, fn.number(i * ROWS)
                if not self.rows_are_channels:
                    row, column = column, row
                rows = k.tile_rows if self.rows_are_channels else ROWS
                self.tiles.store(i * wide + v, self.sums, row * k.sums_pitch + column, k.sums_pitch, rows, ROWS)

    def turn(self) -> None:
        """Transpose the sums, 16 steps of 16 channels at a time."""
        k, fn = self.k, self.fn
        with fn.loop(0, k.sums_pitch, ROWS) as channel, fn.loop(0, STEPS, ROWS) as first:
            square = self.sums.at(k.sums_pitch * first + channel)
            rows = [square.vector(k.sums_pitch * row, ROWS) for row in range(ROWS)]
            for n, column in enumerate(fn.transpose(rows)):
                self.finished.set_vector((channel + n) * STEPS + first, column)

    def store(
        self,
        number: Int,
        start: Int,
        group: Int,
        channel: Int,
        mz: Int,
        my: Int,
        mx: Int,
        rows: Int,
        columns: Int,
        position: Int,
    ) -> None:
        """Finish the sums of one phase, or of those that are interleaved, and write what lies in the output."""
        k, fn = self.k, self.fn
        record = self.stores.at(number * STORE)
        z = mz * k.up_z + record[0]
        count = fn.min(k.block_channels, k.out_channels - channel)
        first_bias = group * k.out_channels + channel
        place = start + z * k.y_z + channel * k.y_c
        with fn.when(z < k.out_z):
            last = fn.min((position + (STEPS - 1)) // k.pitch + 1, rows)
            with fn.loop(position // k.pitch, last) as row:
                y = (my + row) * k.up_y + record[1]
                low, high = fn.max(row * k.pitch - position, 0), fn.min(row * k.pitch + columns - position, STEPS)
                x = (mx + position - row * k.pitch) * k.up_x + record[2]
                with fn.when((y < k.out_y) & (low < high)):
                    line = place + y * k.y_y + x * k.y_x
                    if self.shape.along_positions:
                        self.store_positions(line, low, high, k.out_x - x, record, first_bias, count)
                    else:
                        high = fn.min(high, (fn.max(k.out_x - x, 0) + k.up_x - 1) // k.up_x)
                        self.store_channels(line, low, high, record[3], first_bias, count)

    def store_positions(self, line: Int, low: Int, high: Int, left: Int, record: Array, bias: Int, count: Int) -> None:
        """Rows of sums, `low .. high` of their steps, to neighbours; `left` outputs fit behind step 0."""
        k, fn, phases = self.k, self.fn, self.shape.interleaved
        step = k.y_x if phases > 1 else k.y_x * k.up_x
        if phases > 1:
            stop = fn.min(high * phases, left)
        else:
            stop = fn.min(high, (fn.max(left, 0) + k.up_x - 1) // k.up_x)
        masks = [fn.bits(low * phases - n * STEPS, stop - n * STEPS, STEPS) for n in range(phases)]
        with fn.loop(0, count) as channel:
            added = fn.splat(self.bias[bias + channel], ROWS)
            results = []
            for half in range(2):
                sums = [
                    self.finished.vector((record[3] + record[4] * phase + channel) * STEPS + half * ROWS, ROWS)
                    for phase in range(phases)
                ]
                results += fn.interleave([fn.builder.fadd(value, added) for value in sums])
            target = line + channel * k.y_c
            for n, mask in enumerate(masks):
                place = n * STEPS * step + target if not self.shape.contiguous_y else target + n * STEPS
                self.write(place, step, results[2 * n], results[2 * n + 1], mask)

    def store_channels(self, line: Int, low: Int, high: Int, first: Int, bias: Int, count: Int) -> None:
        """Sums of steps `low .. high`, a vector of channels each."""
        k, fn, wide = self.k, self.fn, self.shape.tiles
        bits = fn.bits(0, count, STEPS)
        added = [
            self.bias.masked(bias + v * ROWS, fn.mask(bits >> v * ROWS, ROWS)) if v < wide else None for v in range(2)
        ]
        with fn.loop(low, high) as step:
            values = [
                ll.Constant(ll.VectorType(ll.FloatType(), ROWS), None)
                if more is None
                else fn.builder.fadd(self.sums.vector(step * k.sums_pitch + first + v * ROWS, ROWS), more)
                for v, more in enumerate(added)
            ]
            self.write(line + step * k.up_x * k.y_x, fn.number(1), values[0], values[1], bits)

    def write(self, place: Int, step: Int, low: ll.Value, high: ll.Value, bits: Int) -> None:
        """32 finished numbers to the outputs from `place` on."""
        fn, shape = self.fn, self.shape
        halves = [low, high]
        masks = [fn.mask(bits >> n * ROWS, ROWS) for n in range(2)]
        if shape.epilogue:
            for n, mask in enumerate(masks):
                beside = None
                if self.residual is not None and shape.contiguous_y:
                    beside = self.residual.masked(place + n * ROWS, mask)
                elif self.residual is not None:
                    beside = self.residual.gather(place + step * (n * ROWS), step, mask)
                halves[n] = finish(fn, halves[n], shape.epilogue, self.slope, beside)
        if shape.contiguous_y:
            self.y.set_masked(place, rounded_pair(fn, *halves), fn.mask(bits, STEPS))
            return
        for n, mask in enumerate(masks):
            self.rounded.scatter(place + step * (n * ROWS), step, halves[n], mask)
