"""One module for each format of configuration files; `leaves` of each reads it."""
