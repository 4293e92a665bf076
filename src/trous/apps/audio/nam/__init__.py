"""Neural Amp Modeler files: networks that sound like amplifiers, read, written, and made afresh (docs/audio.md)."""

from trous.apps.audio.nam.amp import LOUDNESS, RATE, Amp
from trous.apps.audio.nam.files import load, save, trained
from trous.apps.audio.nam.network import Network
from trous.apps.audio.nam.sizes import SIZES, fresh
from trous.apps.audio.nam.wavenet import WaveNet

__all__ = ["LOUDNESS", "RATE", "SIZES", "Amp", "Network", "WaveNet", "fresh", "load", "save", "trained"]
