-- Finds what an agent's live runs have read, when its ambient run is opened anew.
create index runs_labelled on runs (tenant, agent, opened_at_ms) where ended_at_ms is null and labels <> '[]';
