"""Labels of generated content: words that people read, keys that programs read, in answers and in files."""

from guiju.labelling.files import first_label, inspect, read, read_file, write, write_file
from guiju.labelling.values import Damaged, FileLabel

__all__ = ["Damaged", "FileLabel", "first_label", "inspect", "read", "read_file", "write", "write_file"]
