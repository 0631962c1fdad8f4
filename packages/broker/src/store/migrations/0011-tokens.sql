-- Tokens that were revoked, principals whose tokens until a moment were, and one-call tokens that were used.
create table revoked_tokens (
  token_id text primary key,
  tenant text not null,
  expires_at_ms bigint not null
);
create table revoked_principals (
  tenant text not null,
  principal text not null,
  until_ms bigint not null,
  primary key (tenant, principal)
);
create table spent_tokens (
  token_id text primary key,
  call text not null,
  expires_at_ms bigint not null
);

-- What the token of a call carried less than its agent may (canonical JSON); null for a token that carries everything.
alter table calls add column narrowed text;
