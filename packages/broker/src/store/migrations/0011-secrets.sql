-- Sealed secrets: ciphertext and a wrapped data key; what opens them is not in the database.

-- superseded_at_ms null: the version in force. wrapped and sealed null: destroyed.
create table secrets (
  tenant text not null,
  name text not null,
  version bigint not null,
  key_id text not null,
  wrapped bytea,
  sealed bytea,
  set_by text not null,
  set_at_ms bigint not null,
  superseded_at_ms bigint,
  leased_until_ms bigint not null,
  destroyed_at_ms bigint,
  primary key (tenant, name, version)
);

create unique index secrets_in_force on secrets (tenant, name) where superseded_at_ms is null;
create index secrets_key on secrets (key_id) where destroyed_at_ms is null;
create index secrets_superseded on secrets (leased_until_ms) where superseded_at_ms is not null and destroyed_at_ms is null;
