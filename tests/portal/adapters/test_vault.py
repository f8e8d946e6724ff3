from base64 import b64encode

import pytest
from botocore.exceptions import ClientError

from portal.adapters import aws, vault
from portal.settings import settings
from portal.tree import VENDOR, Node
from tests.support.harness import Harness
from tests.world import World

SECRET = "a secret of a tenant's"
DISTRIBUTOR = Node("dst_1")
PARTNER = Node("dst_1", "prt_1")


def test_what_was_sealed_is_unsealed_for_the_same_tenant_and_purpose(world: World) -> None:
    for tenant in (VENDOR, DISTRIBUTOR, PARTNER):
        sealed = vault.seal(SECRET, tenant, "totp", user="usr_1")
        assert vault.unseal(sealed, tenant, "totp", user="usr_1") == SECRET
        assert SECRET not in sealed and b64encode(SECRET.encode()).decode() not in sealed


@pytest.mark.parametrize(
    ("tenant", "purpose", "whose"),
    [
        (PARTNER, "totp", {"user": "usr_1"}),
        (VENDOR, "totp", {"user": "usr_1"}),
        (Node("dst_2"), "totp", {"user": "usr_1"}),
        (DISTRIBUTOR, "totp", {"user": "usr_2"}),
        (DISTRIBUTOR, "splunk", {"user": "usr_1"}),
        (DISTRIBUTOR, "totp", {}),
        (DISTRIBUTOR, "totp", {"user": "usr_1", "more": "x"}),
    ],
)
def test_nobody_else_can_unseal_it(world: World, tenant: Node, purpose: str, whose: dict[str, str]) -> None:
    sealed = vault.seal(SECRET, DISTRIBUTOR, "totp", user="usr_1")
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        vault.unseal(sealed, tenant, purpose, **whose)


def test_the_tenant_stands_in_the_encryption_context(world: World, harness: Harness) -> None:
    sealed = vault.seal(SECRET, PARTNER, "totp", user="usr_1")
    vault.unseal(sealed, PARTNER, "totp", user="usr_1")
    asked = [each.parameters for each in harness.calls if each.service == "kms"][-2:]
    for parameters in asked:
        assert parameters["KeyId"] == settings.key_arn
        assert parameters["EncryptionContext"] == {
            "tenant": "dst_1/prt_1",
            "purpose": "totp",
            "user": "usr_1",
        }


def test_what_another_key_sealed_is_not_unsealed(world: World) -> None:
    other = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    context = {"tenant": "dst_1", "purpose": "totp"}
    answer = aws.client("kms").encrypt(KeyId=other, Plaintext=b"x", EncryptionContext=context)
    foreign = b64encode(answer["CiphertextBlob"]).decode()
    with pytest.raises(ClientError):
        vault.unseal(foreign, DISTRIBUTOR, "totp")
