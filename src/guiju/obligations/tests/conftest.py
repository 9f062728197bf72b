"""A site with services `chat` and `second`, and what people may say of them."""

from guiju.web.tests.conftest import anybody, data, owner, stranger

__all__ = ["anybody", "data", "owner", "stranger"]
