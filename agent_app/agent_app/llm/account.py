"""What Postgres is told of the budgets, and asked: a statement each, whole or not at all."""

from __future__ import annotations

from sqlalchemy import text

OPEN = (
    text(
        "insert into budgets (environment, fleet, scope, name, month) "
        "values (:environment, :fleet, :scope, :name, :month) on conflict do nothing"
    ),
    text(
        "insert into budget_allotments (id, environment, fleet, scope, name, month, expires_at) values "
        "(:id, :environment, :fleet, :scope, :name, :month, "
        "clock_timestamp() + :expiry * interval '1 second')"
    ),
)
# One statement says what this process has settled so far and what it keeps, and takes more if there is room.
# All is absolute and numbered: repeated, or late after a newer one, it changes nothing.
SYNC = text("""
with mine as (
  select amount, settled from budget_allotments where id = :id and version < :version for update
), account as (
  select spent + :settled - m.settled as spent, lost, held + :keep - m.amount as held from budgets b, mine m
  where (b.environment, b.fleet, b.scope, b.name, b.month) = (:environment, :fleet, :scope, :name, :month)
  for update of b
), room as (
  select *, :limit - spent - lost - held as remaining from account
), grants as (
  select *, case when :need > 0 and remaining >= :need
    then greatest(:need, remaining / :share, least(:wanted, remaining / 4)) else 0 end as granted from room
), judged as (
  update budgets b set spent = g.spent, held = g.held + g.granted, granted = g.granted from grants g
  where (b.environment, b.fleet, b.scope, b.name, b.month) = (:environment, :fleet, :scope, :name, :month)
  returning b.granted, b.spent, b.lost, b.held
), said as (
  update budget_allotments a set amount = :keep + j.granted, settled = :settled, version = :version,
    expires_at = clock_timestamp() + :expiry * interval '1 second'
  from judged j where a.id = :id
)
select granted, :limit - spent - lost - held as remaining, spent + lost as gone from judged
""")
REAP = text("""
with dead as (
  select id from budget_allotments where environment = :environment and fleet = :fleet
    and expires_at < clock_timestamp() order by expires_at limit 1 for update skip locked
), ended as (
  delete from budget_allotments a using dead where a.id = dead.id returning a.*
)
update budgets b set held = b.held - e.amount, lost = b.lost + e.amount from ended e
where (b.environment, b.fleet, b.scope, b.name, b.month) = (e.environment, e.fleet, e.scope, e.name, e.month)
""")
STANDING = text("""
select scope, name, spent + lost as gone, held from budgets
where environment = :environment and fleet = :fleet
  and month = (date_trunc('month', clock_timestamp() at time zone 'utc'))::date
""")
DROP = text("delete from budget_allotments where id = :id and amount = 0")
NOW = text("select clock_timestamp()")
