-- Calls that undo another: which, and whether in full (`tool`) or in part (`soft`).
alter table calls add column undo_of text;
alter table calls add column undo_kind text;

create index calls_undo on calls (undo_of) where undo_of is not null;
