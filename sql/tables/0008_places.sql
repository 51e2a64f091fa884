-- Names of places can be names of people: which ones are kept is decided when places are resolved, by the next extract.
update lookup.place set name = null;
