-- Calls whose outcome is unknown: when they are looked for next. next_at_ms null: a person has to settle it.
create table doubts (
  call_id text primary key,
  tenant text not null,
  since_ms bigint not null,
  tries bigint not null,
  next_at_ms bigint,
  why text not null
);

create index doubts_next on doubts (next_at_ms) where next_at_ms is not null;

insert into doubts (call_id, tenant, since_ms, tries, next_at_ms, why)
  select id, tenant, updated_at_ms, 0, updated_at_ms, '' from calls where status = 'in_doubt';
