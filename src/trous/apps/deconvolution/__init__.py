"""What `trous.deconvolve` is worth on real data, beside other libraries (`trous bench deconvolution`)."""
