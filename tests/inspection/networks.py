"""The networks on which reports of inputs behind outputs are judged, each with an input that every layer accepts.

Structures are the papers'; widths are small, and some have fewer blocks, so that a field is smaller than the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn
from torch.nn.utils import parametrizations

from inspection import images, segmentation, sequences
from trous.bench.networks import convtasnet, fsrcnn, gtcrn, hifigan
from trous.bench.networks.meshnet import MeshNet
from trous.bench.networks.unet import UNet


@dataclass(frozen=True)
class Network:
    """How to build a network, the whole shape of its input, and how far its outputs see.

    `reach` is "local" where positions depend on a neighbourhood; "statistics" where they do but for a normalisation
    over all positions; "global" where some layer looks at a whole axis by design (pooling, attention, recurrence).
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    reach: Literal["local", "statistics", "global"] = "local"
    complex_input: bool = False


NETWORKS = {
    "unet": Network(partial(UNet, 2, 1, 2, widths=(2, 3, 4)), (1, 1, 60, 76)),
    "unet-padded": Network(partial(UNet, 2, 1, 2, widths=(2, 3, 4), padding=1, normed=True), (1, 1, 24, 68)),
    "unet-3d": Network(partial(UNet, 3, 1, 2, widths=(2, 3), padding=1, normed=True), (1, 1, 8, 12, 30)),
    "deeplabv3": Network(segmentation.DeepLabV3, (1, 3, 33, 513), "global"),
    "deeplabv3-local": Network(partial(segmentation.DeepLabV3, image_level=False, grid=(1,)), (1, 3, 17, 785)),
    "wavenet": Network(sequences.WaveNet, (1, 4, 120)),
    "spliceai": Network(partial(sequences.SpliceAI, channels=2, repeats=1), (1, 4, 2600)),
    "hifi-gan": Network(
        partial(hifigan.Generator, parametrizations.weight_norm, mels=2, channels=4, kernels=(16, 4), strides=(8, 2)),
        (1, 2, 40),
    ),
    "fsrcnn": Network(partial(fsrcnn.network, 3, 4, 2, 2), (1, 1, 19, 23)),
    "meshnet": Network(partial(MeshNet, channels=2), (1, 1, 4, 5, 100)),
    "gtcrn": Network(gtcrn.GTCRN, (1, gtcrn.BINS, 6), "global", complex_input=True),
    "conv-tasnet": Network(partial(convtasnet.Separator, 4, 2, 3, 2, blocks=4, stacks=2), (1, 4, 80), "statistics"),
    "v-net": Network(partial(segmentation.VNet, layers=(1, 2, 2)), (1, 1, 4, 4, 80)),
    "espcn": Network(images.espcn, (1, 1, 17, 20)),
    "resnet-fcn": Network(segmentation.ResNetFCN, (1, 3, 45, 331)),
    "se-net": Network(images.se_net, (1, 3, 21, 30), "global"),
    "vit": Network(images.ViT, (1, 3, 32, 32), "global"),
    "odd-autoencoder": Network(segmentation.OddAutoencoder, (1, 1, 42, 99)),
    # Its last rows and columns, which output padding adds, depend on no input at all.
    "odd-autoencoder-blank": Network(segmentation.OddAutoencoder, (1, 1, 47, 101)),
}
