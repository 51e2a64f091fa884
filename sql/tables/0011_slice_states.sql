-- The states and columns of slices and files say what they are: loaded (was landed), incomplete (was short).

alter table raw.slice rename column landed_count to loaded_count;
alter table raw.slice rename column landed_digest to loaded_digest;
alter table raw.slice drop constraint slice_state_check;
update raw.slice set state = case state when 'landed' then 'loaded' else 'incomplete' end
where state in ('landed', 'short');
alter table raw.slice
add constraint slice_state_check check (state in ('planned', 'loaded', 'certified', 'incomplete'));

alter table raw.export_file rename column landed_count to loaded_count;
alter table raw.export_file rename column landed_at to loaded_at;
alter table raw.export_file drop constraint export_file_state_check;
update raw.export_file set state = 'loaded'
where state = 'landed';
alter table raw.export_file
add constraint export_file_state_check check (state in ('planned', 'loaded', 'failed'));

alter table raw.delete_search rename column way to method;  -- history or sweep
