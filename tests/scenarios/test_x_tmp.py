from tests.scenarios.test_billing_faults import *
import traceback
def test_x(harness, world):
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 4, 4, 2, tzinfo=UTC)
    run_month(world)
    parked_id = world.call("operators.list_parked", OPERATOR).json["items"][0]["parked_id"]
    harness.fail(1)
    try:
        a=world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id})
        print("ANSWER", a.status, a.text)
    except BaseException as e:
        traceback.print_exc()
