"""Autoencoders: an encoder of convolutions and pooling, and the decoder that `trous.mirror` derives from it.

See docs/models/autoencoder.md. The modules need torch; `batches` and `training` need Lightning too.
"""
