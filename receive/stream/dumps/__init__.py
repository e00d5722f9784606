"""Hands on integrations: the window, beliefs about timestamps, scans, the ledger."""
