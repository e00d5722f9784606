"""Integrations out: the window, what is believed, scans, the ledger."""
