-- Alerts: what people are told of at once, and how far telling each webhook has come.

-- announced_at_ms null: not written to the log yet, and no delivery was made for it.
create table alerts (
  id text primary key,
  tenant text not null,
  call_id text not null,
  agent text not null,
  run text not null,
  tool text not null,
  kind text not null,
  status text not null,
  problem text,
  at_ms bigint not null,
  repeats bigint not null,
  announced_at_ms bigint,
  acked_at_ms bigint,
  acked_by text
);

create unique index alerts_call on alerts (call_id, kind);
create index alerts_tenant on alerts (tenant, id);
create index alerts_new on alerts (id) where announced_at_ms is null;
create index alerts_standing on alerts (tenant, tool, at_ms) where kind = 'upstream_failed' and acked_at_ms is null;

create table alert_deliveries (
  alert_id text not null references alerts (id),
  webhook text not null,
  state text not null,
  tries bigint not null,
  next_try_at_ms bigint not null,
  last_error text,
  primary key (alert_id, webhook)
);

create index alert_deliveries_due on alert_deliveries (webhook, next_try_at_ms) where state = 'pending';
