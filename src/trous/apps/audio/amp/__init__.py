"""Amplifiers from recordings: what went in and what came out, learned by a Neural Amp Modeler network."""
