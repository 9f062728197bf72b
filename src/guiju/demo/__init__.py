"""The built-in demo: a scripted model and a narrated tour."""
