-- The first schema: the ledger, calls, runs, approvals, halts, activations and used assertions.
-- Types that SQLite and PostgreSQL both take: text, bigint (times in ms, flags 0/1) and bytea.

create table logs (
  log text primary key
);

-- entry: canonical JSON, exactly the bytes of the leaf. leaf: RFC 6962 hash of them.
create table entries (
  log text not null,
  seq bigint not null,
  leaf bytea not null,
  entry text not null,
  primary key (log, seq)
);

-- Apart from the entries, so that erasing a row leaves every proof intact.
create table payloads (
  log text not null,
  seq bigint not null,
  salt bytea not null,
  body text not null,
  primary key (log, seq)
);

-- Complete subtrees of the Merkle tree at levels 8, 16, 24…: proofs need not read the whole log.
create table nodes (
  log text not null,
  level bigint not null,
  idx bigint not null,
  hash bytea not null,
  primary key (log, level, idx)
);

create table checkpoints (
  log text not null,
  size bigint not null,
  root bytea not null,
  note text not null,
  at_ms bigint not null,
  primary key (log, size)
);

create table calls (
  id text primary key,
  tenant text not null,
  agent text not null,
  run text not null,
  door text not null,
  tool text not null,
  tool_version text not null,
  tool_digest text not null,
  effect text not null,
  revision text not null,
  status text not null,
  request_digest text not null,
  idempotency_key text,
  args_digest text,
  created_at_ms bigint not null,
  updated_at_ms bigint not null,
  deed text,
  approval_id text,
  reply text,
  side_effect_id text,
  side_effect_url text,
  settled_log text,
  settled_seq bigint
);

create unique index calls_key on calls (tenant, agent, idempotency_key) where idempotency_key is not null;
create index calls_run on calls (run, id);
create index calls_held on calls (tenant, agent, args_digest) where status = 'held';
create index calls_running on calls (id) where status = 'running';
create index calls_in_doubt on calls (id) where status = 'in_doubt';

create table runs (
  id text primary key,
  tenant text not null,
  agent text not null,
  ambient bigint not null,
  trigger_ref text,
  bound text not null,
  model text,
  parent_run_id text,
  labels text not null,
  labels_version bigint not null,
  opened_at_ms bigint not null,
  last_used_at_ms bigint not null,
  ended_at_ms bigint
);

create unique index runs_ambient on runs (tenant, agent) where ambient = 1 and ended_at_ms is null;
create index runs_tenant on runs (tenant, id);

create table approvals (
  id text primary key,
  tenant text not null,
  call_id text not null,
  run text not null,
  agent text not null,
  tool text not null,
  status text not null,
  deed_digest text not null,
  asks text not null,
  shown text not null,
  shown_digest text not null,
  created_at_ms bigint not null,
  expires_at_ms bigint not null,
  closed_at_ms bigint
);

create index approvals_call on approvals (call_id);
create index approvals_tenant on approvals (tenant, id);
create index approvals_open on approvals (expires_at_ms) where status = 'open';

create table votes (
  approval_id text not null references approvals (id),
  rule text not null,
  person text not null,
  verdict text not null,
  deed_digest text not null,
  at_ms bigint not null,
  reason text,
  primary key (approval_id, rule, person)
);

-- tenant null: everywhere.
create table halts (
  id text primary key,
  tenant text,
  scope text not null,
  target text,
  reason text not null,
  set_by text not null,
  at_ms bigint not null,
  lifted_at_ms bigint,
  lifted_by text
);

create index halts_active on halts (at_ms) where lifted_at_ms is null;

create table activations (
  number bigint primary key,
  revision text not null,
  at_ms bigint not null,
  activated_by text not null,
  files text not null
);

create table assertions (
  issuer text not null,
  jti text not null,
  expires_at_ms bigint not null,
  primary key (issuer, jti)
);

create index assertions_expiry on assertions (expires_at_ms);
