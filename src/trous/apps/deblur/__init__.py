"""Pictures and stacks that are blurred by a known PSF, made sharp: the files around `trous.deconvolve`."""
