-- What approvers were shown and the reasons that they gave live in the ledger's payloads alone, where they can be
-- erased; approvals and votes keep the place of theirs.
alter table approvals add column shown_log text;
alter table approvals add column shown_seq bigint;
update approvals set shown_log = 'tenant/' || tenant, shown_seq = (
  select max(e.seq) from entries e where e.log = 'tenant/' || approvals.tenant
    and e.entry like '%"kind":"call.held"%' and e.entry like '%"approval":"' || approvals.id || '"%');
alter table approvals drop column shown;

alter table votes add column voted_log text;
alter table votes add column voted_seq bigint;
update votes set
  voted_log = (select 'tenant/' || a.tenant from approvals a where a.id = votes.approval_id),
  voted_seq = (
    select max(e.seq) from entries e join payloads p on p.log = e.log and p.seq = e.seq
    where e.entry like '%"kind":"approval.voted"%' and e.entry like '%"approval":"' || votes.approval_id || '"%'
      and p.body like '%"person":"' || votes.person || '"%');
alter table votes drop column reason;
