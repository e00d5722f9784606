"""Files fetched over http and https, for whoever needs one."""
