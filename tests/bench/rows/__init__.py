"""The rows of the table, a module each: ``run(settings)`` returns the row's results."""
