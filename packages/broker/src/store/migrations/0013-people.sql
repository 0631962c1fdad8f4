-- People: sessions, who came through the identity provider, passkeys, log-ins under way, and roles taken in an emergency.

-- Only the digest of what a browser or a command line holds is here.
create table sessions (
  id text primary key,
  digest text not null unique,
  kind text not null,
  tenant text not null,
  person text not null,
  via text not null,
  created_at_ms bigint not null,
  last_used_at_ms bigint not null,
  idle_ms bigint not null,
  expires_at_ms bigint not null,
  ended_at_ms bigint
);

create index sessions_person on sessions (tenant, person);

-- People whom only the provider knows: roles and groups of their last log-in, for as long as its word is believed.
create table directory (
  tenant text not null,
  name text not null,
  issuer text not null,
  subject text not null,
  display_name text not null,
  roles text not null,
  groups text not null,
  logged_in_at_ms bigint not null,
  valid_until_ms bigint not null,
  primary key (tenant, name)
);

create unique index directory_identity on directory (issuer, subject, tenant);

-- What a browser has begun and not ended: each is taken once.
create table ceremonies (
  digest text primary key,
  kind text not null,
  data text not null,
  expires_at_ms bigint not null
);

create table passkeys (
  credential_id text primary key,
  tenant text not null,
  person text not null,
  label text not null,
  public_key text not null,
  counter bigint not null,
  transports text not null,
  created_at_ms bigint not null,
  last_used_at_ms bigint,
  removed_at_ms bigint
);

create index passkeys_person on passkeys (tenant, person);

create table device_codes (
  device_digest text primary key,
  user_digest text not null unique,
  status text not null,
  asked_from text not null,
  tenant text,
  person text,
  via text,
  created_at_ms bigint not null,
  expires_at_ms bigint not null,
  polled_at_ms bigint
);

create table break_glass (
  id text primary key,
  tenant text not null,
  person text not null,
  role text not null,
  reason text not null,
  begun_at_ms bigint not null,
  ends_at_ms bigint not null,
  ended_at_ms bigint
);

create index break_glass_open on break_glass (ends_at_ms) where ended_at_ms is null;

-- An alert is about a call, or about a role that was taken in an emergency; then its call, run and tool are empty.
alter table alerts add column glass_id text;
alter table alerts add column person text;
