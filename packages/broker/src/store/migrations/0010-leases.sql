-- Credentials that are to be revoked once their call is over. handle: sealed; its key is not in this file.
create table leases (
  credential text primary key,
  call_id text not null,
  run text not null,
  tenant text not null,
  connector text not null,
  provider text not null,
  handle text not null,
  expires_at_ms bigint not null,
  tries bigint not null,
  next_at_ms bigint not null,
  why text not null
);

create index leases_next on leases (next_at_ms);
