"""The services whose data is backed up."""

from enum import StrEnum


class Service(StrEnum):
    MICROSOFT_365_EXCHANGE = "microsoft_365_exchange"
    MICROSOFT_365_ONEDRIVE = "microsoft_365_onedrive"
    MICROSOFT_365_SHAREPOINT = "microsoft_365_sharepoint"
    GOOGLE_WORKSPACE = "google_workspace"
    SALESFORCE = "salesforce"
    BOX = "box"
    DROPBOX = "dropbox"
