from portal import keys
from portal.identity.records import find_api_client
from portal.journal import AuditEntry
from portal.table import query
from tests.builders import a_distributor, a_partner, an_api_key, bearer, client_tokens, confirm, sign_in
from tests.world import World, administrator


def test_its_tokens_end_with_it_on_the_next_request(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, "office@north.example.com")
    owner = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    key, kept = an_api_key(world, owner), an_api_key(world, owner, "Kept")
    tokens, others = client_tokens(world, key), client_tokens(world, kept)
    by_key = bearer(world, tokens["access_token"])
    inside = world.call("identity.access_partner", by_key, path={"partner_id": partner.partner}).json
    assert bearer(world, inside["access_token"]).client_id == key["client_id"]
    path = {"client_id": key["client_id"]}
    # Whoever manages integrations here may delete it, not only its owner.
    assert world.call("identity.delete_api_key", administrator(distributor), path=path).status == 204
    for token in (tokens, inside):
        ended = bearer(world, token["access_token"])
        assert (ended.kind, ended.refused) == ("anonymous", "api_key_deleted")
        form = f"grant_type=refresh_token&refresh_token={token['refresh_token']}"
        assert world.call("identity.issue_token", form=form).json["error"] == "invalid_grant"
    assert world.call("identity.get_me", bearer(world, tokens["access_token"])).code == "not_signed_in"
    form = f"grant_type=client_credentials&client_id={key['client_id']}&client_secret={key['client_secret']}"
    assert world.call("identity.issue_token", form=form).json["error"] == "invalid_client"
    assert bearer(world, others["access_token"]).kind == "user"
    assert find_api_client(key["client_id"]) is None
    listed = world.call("identity.list_api_keys", owner).json["items"]
    assert [each["client_id"] for each in listed] == [kept["client_id"]]
    told = [
        entry.description
        for entry in query(AuditEntry, keys.node(distributor), "AUDIT")
        if entry.activity == "API key changed"
    ]
    assert f"Deleted API key Reporting ({key['client_id']}) of office@north.example.com" in told
    assert world.call("identity.delete_api_key", owner, path=path).status == 404


def test_a_key_may_delete_itself(world: World) -> None:
    a_distributor(world)
    confirm(world, "office@north.example.com")
    key = an_api_key(world, bearer(world, sign_in(world, "office@north.example.com")["access_token"]))
    token = client_tokens(world, key)["access_token"]
    path = {"client_id": key["client_id"]}
    assert world.call("identity.delete_api_key", bearer(world, token), path=path).status == 204
    assert bearer(world, token).refused == "api_key_deleted"


def test_another_portals_key_does_not_exist(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    key = an_api_key(world, bearer(world, sign_in(world, "office@north.example.com")["access_token"]))
    partner = administrator(a_partner(world, distributor))
    for client_id in (key["client_id"], "cid_unknown"):
        answer = world.call("identity.delete_api_key", partner, path={"client_id": client_id})
        assert (answer.status, answer.code) == (404, "not_found")
    assert client_tokens(world, key)["access_token"]
