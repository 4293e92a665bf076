"""WaveNet: sound made sample by sample, of nothing or of a mel spectrogram (docs/wavenet.md)."""
