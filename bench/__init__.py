"""Measurements of guiju, on this machine, now. `make bench` runs them all."""
