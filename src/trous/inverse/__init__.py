"""The inverse problem: pictures from their blurred, sampled and noisy selves."""
