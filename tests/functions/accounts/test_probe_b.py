from tests.builders import *
from tests.world import administrator
def test_parallel_creates(world, harness):
    d=a_distributor(world, an_email()); p=a_partner(world,d,an_email())
    emails=[an_email() for _ in range(16)]
    from tests.support import run_free
    import inspect
    print(inspect.signature(run_free))
    out=run_free([lambda e=e: world.call("accounts.create_account", administrator(p), body={"name":"x","email":e}).status for e in emails])
    print(out)
    print(world.call("partners.get_partner", administrator(d), path={"partner_id":p.partner}).json["account_count"])
    assert 0
