"""The mapping of `purchase`, one for all tests: text that a test may change, and the file that is shipped."""

from tests.support.paths import FUNCTIONS

PURCHASE = """
[[table]]
source = "test.purchase"
target = "purchase"
layout = "attribute-per-row"
hash_key = { attribute = "customerid" }
range_key = { attribute = "orderid" }
member_name = "productid"
member_value = "quantity"
"""
PURCHASE_FILE = FUNCTIONS / "purchase.toml"


def purchase_of(source: str, target: str = "purchase") -> str:
    """The same of another table."""
    return PURCHASE.replace('"test.purchase"', f'"{source}"').replace('"purchase"', f'"{target}"')
