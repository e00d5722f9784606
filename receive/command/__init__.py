"""What every command shares: errors and exit codes, progress, logging, requests to stop."""
