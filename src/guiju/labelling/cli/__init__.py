"""The commands of labelling: `guiju inspect` and `guiju label`."""
