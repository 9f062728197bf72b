"""The check of packs that needs nothing but Python 3.9: `single.py` makes one file of these modules for an inspector.

Standard library only; `cryptography` is used where it is there. Top-level names are unique over all modules, because they
share one namespace in the single file.
"""
