"""Who may come to the door: every kind of principal, planted as records, each with a real Authorization header.

They gather around one planted distributor. All of its portals restrict the addresses that their users come from, to
`HERE`; nothing in what these principals do depends on how their records came about.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from portal import ids, keys
from portal.access import access_parts
from portal.identity import actions, challenges, passwords, records, tokens
from portal.permissions import HELD_ON, Permission
from portal.scope import Origin
from portal.table import Item, stage, write
from portal.tree import VENDOR, Node, Tier
from tests.payers import a_card
from tests.support import FakeStripe, Harness
from tests.trees import Tree, a_task, account_records, partner_records, plant, store
from tests.world import World

HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"
PASSWORD = "a long walk on a grey morning"
"""Of everybody."""

TIERS = (Tier.VENDOR, Tier.DISTRIBUTOR, Tier.PARTNER, Tier.ACCOUNT)
ADMINISTRATOR = {
    Tier.VENDOR: "operator",
    Tier.DISTRIBUTOR: "distributor admin",
    Tier.PARTNER: "partner",
    Tier.ACCOUNT: "customer",
}


@dataclass(frozen=True)
class Principal:
    """Somebody who makes a request, and what has to be known to say how it must be answered."""

    name: str
    portal: Node = VENDOR
    user_id: str = ""
    email: str = ""
    token: str = ""
    """What stands behind `Bearer`; without one there is no Authorization header."""
    refresh_token: str = ""
    session_id: str = ""
    address: str = HERE
    permissions: frozenset[Permission] = frozenset()
    """What the user may do in its portal."""
    refusal: str = ""
    """`not_signed_in` or `access_denied`, for whom nothing at all is done."""
    api_key: bool = False
    limited: bool = False
    """Whether its list of accessible accounts is empty."""
    stranger: bool = False
    """Whether it asks for what belongs to the portal's sibling."""
    is_engine: bool = False

    @property
    def tier(self) -> Tier:
        return self.portal.tier

    def __str__(self) -> str:
        return self.name


@dataclass
class Neighbourhood:
    """A distributor with all that belongs to it, its siblings, and the principals around it."""

    world: World
    harness: Harness
    tree: Tree
    south: Tree
    """Another distributor."""
    siblings: dict[Tier, Node]
    """Beside the tree's distributor, partner and account: in the same portal above."""
    gone: Node
    """An account of the partner's that was removed."""
    empty_partner: Node
    """A partner of the distributor's that has no accounts."""
    cards: dict[Node, str]
    """By distributor, the id of a card that is not the active one."""
    people: list[Principal] = field(default_factory=list)

    @property
    def portals(self) -> dict[Tier, Node]:
        tree = self.tree
        nodes = (VENDOR, tree.distributor, tree.partner, tree.account)
        return dict(zip(TIERS, nodes, strict=True))

    def named(self, name: str) -> Principal:
        return next(each for each in self.people if each.name == name)

    def administrator(self, tier: Tier) -> Principal:
        return self.named(ADMINISTRATOR[tier])


def neighbourhood(world: World, harness: Harness) -> Neighbourhood:
    """Tenants without anybody but the planted administrators."""
    tree, south = plant(world.now, waiting=True), plant(world.now, "south", waiting=True)
    east, empty = tree.distributor.child("prt_east"), tree.distributor.child("prt_empty")
    beside, gone = tree.partner.child("acc_beside"), tree.partner.child("acc_gone")
    eastern = east.child("acc_east")
    removed = account_records(gone, "Gone", world.now)
    removed[0].state = "removed"  # type: ignore[attr-defined]
    store(
        *partner_records(east, "East Partner", world.now),
        *partner_records(empty, "Empty Partner", world.now),
        *(each for node in (eastern, beside) for each in account_records(node, "Another Account", world.now)),
        *(a_task(node, f"tsk_{node.account}", world.now) for node in (eastern, beside)),
        *removed,
        *(
            _here_only(node, world)
            for node in (
                VENDOR,
                tree.distributor,
                tree.partner,
                tree.account,
                south.distributor,
                east,
                beside,
            )
        ),
        *(
            each
            for node in (VENDOR, tree.distributor, tree.partner, tree.account)
            for each in _bystander(node, world)
        ),
    )
    provider = FakeStripe(harness.clock)
    harness.serve("api.stripe.com", provider)
    cards = {
        node: a_card(world, provider, node, active=False) for node in (tree.distributor, south.distributor)
    }
    siblings = {Tier.DISTRIBUTOR: south.distributor, Tier.PARTNER: east, Tier.ACCOUNT: beside}
    return Neighbourhood(world, harness, tree, south, siblings, gone, empty, cards)


def _here_only(portal: Node, world: World) -> Item:
    at = world.now.isoformat()
    entries = [
        {"entry_id": "ipr_here", "addresses": [HERE], "description": "Office", "created_at": at},
        {
            "entry_id": spare_entry(portal),
            "addresses": ["192.0.2.1"],
            "description": "Home",
            "created_at": at,
        },
    ]
    return records.Security(
        keys.node(portal), keys.SECURITY, ip_restricted=True, ip_entries=entries, created_at=world.now
    )


def bystander(tier: Tier) -> str:
    """Id of a user of each portal who may do and see nothing at all, so that everybody may decide about it."""
    return f"usr_bystander_{tier}"


def _bystander(portal: Node, world: World) -> list[Item]:
    user_id = bystander(portal.tier)
    email = f"{user_id.replace('_', '-')}@people.example.com"
    limited = portal.tier in (Tier.DISTRIBUTOR, Tier.PARTNER)
    user = records.User(
        keys.node(portal),
        keys.user(user_id),
        user_id=user_id,
        email=email,
        name="Bystander",
        role="custom",
        permissions=[],
        limited=limited,
        state="active",
        created_at=world.now,
    )
    owner = records.EmailOwner(*keys.email(email), path=str(portal), user_id=user_id, created_at=world.now)
    client = _client(SPARE_KEY[portal.tier], portal, user_id, world)
    return [user, owner, *client]


def _client(client_id: str, portal: Node, user_id: str, world: World) -> list[Item]:
    """An API key of a user's."""
    client = records.ApiClient(
        *keys.client(client_id),
        client_id=client_id,
        user_path=str(portal),
        user_id=user_id,
        secret_hash=tokens.hashed("dps_" + ids.secret()),
        created_at=world.now,
    )
    at = keys.node(portal), keys.api_key(client_id)
    listed = records.ApiKey(*at, client_id=client_id, user_id=user_id, name="Scripts", created_at=world.now)
    return [client, listed]


SPARE_KEY = {tier: f"cid_spare_{tier}" for tier in TIERS}
"""Client id of an API key in each portal that nobody uses."""


def spare_entry(portal: Node) -> str:
    """Id of an IP entry in each portal that nobody needs."""
    return f"ipr_{portal.path[-1] if portal.path else 'vendor'}"


def administrators(home: Neighbourhood) -> None:
    """Of all portals, and nobody else."""
    home.people = []
    for tier, portal in home.portals.items():
        _planted(home, ADMINISTRATOR[tier], portal)


def everybody(
    home: Neighbourhood, permission: Permission | None, besides: Iterable[Permission] = ()
) -> list[Principal]:
    """All kinds of principals, around an operation that asks for this permission; also in `home.people`.

    `besides` are what those who hold it have to hold as well, for the operation to make sense.
    """
    administrators(home)
    now, portals, world = home.world.now, home.portals, home.world
    asked = {permission} if permission else set()
    wanted = asked | set(besides)

    def person(
        name: str, portal: Node, permissions: Iterable[Permission] | None = None, **more: bool
    ) -> Principal:
        return _planted(home, name, portal, permissions, **more)

    for tier, portal in portals.items():
        person(f"custom with the permission ({tier})", portal, wanted & HELD_ON[tier])
        person(f"custom without it ({tier})", portal, HELD_ON[tier] - asked)
        person(f"API key ({tier})", portal, api_key=True)
    for tier in (Tier.DISTRIBUTOR, Tier.PARTNER):
        person(f"custom without the account ({tier})", portals[tier], wanted & HELD_ON[tier], limited=True)
    for tier, sibling in home.siblings.items():
        person(f"sibling's admin ({tier})", sibling, stranger=True)

    admin = home.administrator(Tier.DISTRIBUTOR)
    disabled = person("disabled user", portals[Tier.DISTRIBUTOR])
    _set(home, disabled, state="disabled")
    away = person("IP-blocked user", portals[Tier.DISTRIBUTOR])
    late = person("expired token", portals[Tier.DISTRIBUTOR])
    token = records.find_access_token(tokens.hashed(late.token))
    token.ends_at = now  # type: ignore[union-attr]
    token.save()  # type: ignore[union-attr]
    unwelcome = [
        Principal("anonymous"),
        Principal("malformed token", token="dpa_" + "?" * 43),
        late,
        Principal("refresh token as access token", token=admin.refresh_token),
        Principal("pending second factor", token=_challenge(home, admin)),
        disabled,
    ]
    home.people = [each for each in home.people if each not in (late, disabled, away)]
    home.people += [_but(each, refusal="not_signed_in") for each in unwelcome]
    home.people.append(_but(away, refusal="access_denied", address=ELSEWHERE))
    engine = frozenset({Permission.ENGINE_REPORT})
    home.people.append(
        Principal("engine", token="eng_value of engine-secret", permissions=engine, is_engine=True)
    )
    assert world.now == now
    return home.people


def _but(principal: Principal, **changes: str) -> Principal:
    return Principal(**{**principal.__dict__, **changes})


@cache
def password_hash() -> str:
    return passwords.hashed(PASSWORD)


def _planted(
    home: Neighbourhood,
    name: str,
    portal: Node,
    permissions: Iterable[Permission] | None = None,
    *,
    limited: bool = False,
    api_key: bool = False,
    stranger: bool = False,
) -> Principal:
    """A stored user with its e-mail address, password and session, or an API key of one's; None: administrator."""
    now = home.world.now
    user_id = f"usr_{len(home.people):02d}"
    email = f"{user_id.replace('_', '-')}@people.example.com"
    held = None if permissions is None else sorted(permissions)
    user = records.User(
        keys.node(portal),
        keys.user(user_id),
        user_id=user_id,
        email=email,
        name=name,
        role="administrator" if held is None else "custom",
        permissions=held or [],
        limited=limited,
        state="active",
        created_at=now,
    )
    opened = actions.open_session(user, Origin(now, HERE, "Chrome"), second_factor=True)
    session_id = opened.tokens.refresh_token.removeprefix(tokens.REFRESH).partition(".")[0]
    own: list[Item] = [
        user,
        records.EmailOwner(
            *keys.email(records.folded(email)), path=str(portal), user_id=user_id, created_at=now
        ),
        records.Credentials(
            *keys.credentials(user_id),
            user_id=user_id,
            password_hash=password_hash(),
            password_set_at=now - timedelta(days=1),
        ),
        *(access_parts(portal, user_id, []) if limited else ()),
    ]
    if api_key:
        client, listed = _client(f"cid_{user_id}", portal, user_id, home.world)
        own += [client, listed]
        opened = actions.open_client_session(client, user, Origin(now, HERE, "curl"))
        session_id = opened.tokens.refresh_token.removeprefix(tokens.REFRESH).partition(".")[0]
    store(*own)
    write([stage(each) for each in opened.writes])
    principal = Principal(
        name,
        portal,
        user_id,
        email,
        opened.tokens.access_token,
        opened.tokens.refresh_token,
        session_id,
        permissions=HELD_ON[portal.tier] if permissions is None else frozenset(permissions),
        api_key=api_key,
        limited=limited,
        stranger=stranger,
    )
    home.people.append(principal)
    return principal


def _set(home: Neighbourhood, principal: Principal, **values: object) -> None:
    user = records.find_user(principal.portal, principal.user_id)
    assert user is not None
    for name, value in values.items():
        setattr(user, name, value)
    user.save()


def _challenge(home: Neighbourhood, admin: Principal) -> str:
    """Of a sign-in that waits for the code of an authenticator app."""
    user = records.find_user(admin.portal, admin.user_id)
    assert user is not None
    new = challenges.begin(user, "totp", Origin(home.world.now, HERE, "Chrome"), "password")
    write([stage(each) for each in new.writes])
    return new.token
