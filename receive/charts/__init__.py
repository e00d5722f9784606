"""What the Helm charts take: values.yaml, values.schema.json and README.md, all from one place.

The configuration's keys come from `receive.config_keys`; what Kubernetes needs besides is in
`receive.charts.receiver` and `receive.charts.sender`, one `Value` each.  ``python -m
receive.charts charts`` writes the files, with ``--check`` it tells whether they are up to date.
"""
