"""What distributors, partners and accounts have in common: who they are and how they are reached."""

from pynamodb.attributes import UnicodeAttribute

from portal.table import Item, JsonAttribute


class Tenant(Item):
    """A distributor, a partner or an account."""

    name = UnicodeAttribute()
    email = UnicodeAttribute()
    """Its own address. Its first administrator begins with the same one; from then on they go separate ways."""
    pending_email = UnicodeAttribute(null=True)
    """The address it is to have once that is confirmed there."""
    link_hash = UnicodeAttribute(null=True)
    """Hash of the latest link that confirms it; earlier ones are void."""
    office_address = JsonAttribute(null=True)
    """Lines of its postal address. Bills go to the payer's, which is the distributor's `address`."""
    phone = UnicodeAttribute(null=True)
    """E.164: `+352271234`."""
