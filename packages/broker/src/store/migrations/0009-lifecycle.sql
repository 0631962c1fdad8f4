-- What people have set beside the bundle: a row for each principal that is suspended or retired. The stricter one holds.
create table statuses (
  tenant text not null,
  principal text not null,
  id text not null,
  status text not null,
  reason text not null,
  set_by text not null,
  at_ms bigint not null,
  primary key (tenant, principal)
);

-- Public keys by thumbprint: since when an activated bundle has them, and when one last got a token.
create table principal_keys (
  tenant text not null,
  principal text not null,
  thumbprint text not null,
  first_seen_at_ms bigint not null,
  last_used_at_ms bigint,
  primary key (tenant, principal, thumbprint)
);

-- Since when an activated bundle has a principal or a tool.
create table first_seen (
  kind text not null,
  name text not null,
  at_ms bigint not null,
  primary key (kind, name)
);

-- When a principal last proved itself for a token.
create table token_uses (
  tenant text not null,
  principal text not null,
  at_ms bigint not null,
  primary key (tenant, principal)
);

-- When an agent's call of a tool was last admitted, give or take a minute.
create table tool_uses (
  tenant text not null,
  agent text not null,
  tool text not null,
  at_ms bigint not null,
  primary key (tenant, agent, tool)
);

insert into tool_uses (tenant, agent, tool, at_ms)
  select tenant, agent, tool, max(created_at_ms) from calls where status <> 'refused' group by tenant, agent, tool;

-- The orchestrator; null: an ambient run, or one from before this.
alter table runs add column opened_by text;
