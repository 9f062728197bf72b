"""`guiju serve`: one command that prepares the data folder, starts every process and keeps them running. No Django here."""
