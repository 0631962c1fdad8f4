-- How often a deed in doubt was sent again; each look until now may have been such a time.
alter table doubts add column resends bigint not null default 0;
update doubts set resends = tries;
