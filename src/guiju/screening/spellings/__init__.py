"""Spellings: what people write in place of a word so that it is read and not found."""
