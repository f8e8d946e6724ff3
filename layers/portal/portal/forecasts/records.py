"""The forecast of a large distributor's next bill, as it was made last night."""

from collections.abc import Iterator
from datetime import date

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.scope import Scope
from portal.table import (
    DateAttribute,
    InstantAttribute,
    Item,
    PackedJsonAttribute,
    find,
    list_sort_keys,
    query,
)
from portal.tree import Node


class StoredForecast(Item, discriminator="stored-forecast"):
    """Which forecast of a distributor's was finished last. Its parts are those of the day of `as_of`."""

    as_of = InstantAttribute()
    period_start_on = DateAttribute()
    period_end_on = DateAttribute()
    """Exclusive."""
    part_count = NumberAttribute()


class ForecastPart(Item, discriminator="forecast-part"):
    """What up to 100 accounts are expected to be billed."""

    accounts = PackedJsonAttribute()
    """See `portal.forecasts.nightly`."""
    last_account_id = UnicodeAttribute()
    """The next part begins behind it."""

    @property
    def number(self) -> int:
        """Which part it is, counted from 1."""
        return int(keys.split(self.sk)[-1])


def find_forecast(scope: Scope, distributor: Node) -> StoredForecast | None:
    return find(StoredForecast, keys.node(scope.reach(distributor)), keys.FORECAST)


def find_last_part(scope: Scope, distributor: Node, on: date) -> ForecastPart | None:
    """The last part there is by now of the forecast of a day."""
    partition, prefix = keys.forecast_parts(scope.reach(distributor)), keys.forecast_part(on)
    return next(query(ForecastPart, partition, prefix, newest_first=True, limit=1), None)


def list_parts(scope: Scope, distributor: Node, on: date) -> Iterator[ForecastPart]:
    """The parts of the forecast of a day in order, those that are there."""
    return query(ForecastPart, keys.forecast_parts(scope.reach(distributor)), keys.forecast_part(on))


def list_parts_before(scope: Scope, distributor: Node, on: date) -> list[str]:
    """The sort keys of the parts of earlier days' forecasts."""
    parts = list_sort_keys(keys.forecast_parts(scope.reach(distributor)))
    return [sk for sk in parts if sk < keys.forecast_part(on)]
