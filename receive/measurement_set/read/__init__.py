"""Read a Measurement Set: model, integrations, subtables."""
