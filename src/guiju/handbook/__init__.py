"""The pages of `docs/` that are made from the code: settings, commands, record kinds, errors."""
