-- Counters of quotas, and what each admitted call took of them until its outcome posts or releases it.
create table quota_use (
  tenant text not null,
  quota text not null,
  subject text not null,
  window_start_ms bigint not null,
  window_end_ms bigint not null,
  posted bigint not null check (posted >= 0),
  reserved bigint not null check (reserved >= 0),
  primary key (tenant, quota, subject, window_start_ms, window_end_ms)
);

create index quota_use_ended on quota_use (window_end_ms);

-- counts: calls or writes. state: reserved, posted or released.
create table reservations (
  call_id text not null,
  tenant text not null,
  quota text not null,
  subject text not null,
  window_start_ms bigint not null,
  window_end_ms bigint not null,
  amount bigint not null,
  counts text not null,
  state text not null,
  primary key (call_id, quota)
);

create index reservations_over on reservations (window_end_ms) where state <> 'reserved';

-- 1 where a call has reservations: settling any other looks for none.
alter table calls add column reserved bigint;
