"""Streams whose whole network is one call of compiled code a block."""
