"""KMS: secrets that tenants entrust to the portal, encrypted at rest.

Whose secret it is, and what for, goes into the encryption context. What was sealed for one tenant, moved into another
one's records, cannot be opened there.
"""

from base64 import b64decode, b64encode

from portal.adapters import aws
from portal.settings import settings
from portal.tree import Node


def seal(secret: str, tenant: Node, purpose: str, **whose: str) -> str:
    """A secret of at most 4 KB as it may be stored: text that only `unseal` with the same arguments makes anything of."""
    answer = aws.client("kms").encrypt(
        KeyId=settings.key_arn,
        Plaintext=secret.encode(),
        EncryptionContext=_context(tenant, purpose, whose),
    )
    return b64encode(answer["CiphertextBlob"]).decode()


def unseal(sealed: str, tenant: Node, purpose: str, **whose: str) -> str:
    """The secret that was sealed for this tenant and purpose.

    Raises:
        botocore.exceptions.ClientError: `InvalidCiphertextException`, it was sealed for another one.
    """
    answer = aws.client("kms").decrypt(
        KeyId=settings.key_arn,
        CiphertextBlob=b64decode(sealed),
        EncryptionContext=_context(tenant, purpose, whose),
    )
    secret: bytes = answer["Plaintext"]
    return secret.decode()


def _context(tenant: Node, purpose: str, whose: dict[str, str]) -> dict[str, str]:
    return {"tenant": str(tenant) or "vendor", "purpose": purpose, **whose}
