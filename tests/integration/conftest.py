"""Fixtures of every integration test: imported once here, or each module would start a cloud of its own."""

from tests.integration.cloud_fixtures import cloud, fresh_cloud

__all__ = ["cloud", "fresh_cloud"]
