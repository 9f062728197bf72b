"""A site with the service `chat`, and people with roles."""

from guiju.web.tests.conftest import anybody, data, owner, stranger

__all__ = ["anybody", "data", "owner", "stranger"]
