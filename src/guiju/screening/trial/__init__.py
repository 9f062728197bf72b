"""The dry run of a keyword library: what a version would have done to what was said, in counts, before it is put in force."""
