"""Clock, ids, errors, canonical JSON, keys, settings and folders: what every duty shares. No Django here."""
