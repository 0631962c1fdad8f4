-- Sessions know whose they are beyond a name, and when that person was seen; what a person prepared can be taken back.

-- Of the bundle: empty. Of the directory: which identity of which provider.
alter table sessions add column identity text not null default '';
-- Later sessions that rest on a log-in are no younger than it.
alter table sessions add column authenticated_at_ms bigint not null default 0;

alter table device_codes add column identity text not null default '';
alter table device_codes add column authenticated_at_ms bigint not null default 0;

-- Whose log-in, invitation or registration it is, where that is known.
alter table ceremonies add column tenant text;
alter table ceremonies add column person text;
