"""What the Helm charts take: values.yaml, values.schema.json and README.md, all from one place.

The configuration's keys come from `receive.config.keys`; what Kubernetes needs besides is in
`generate.charts.receiver` and `generate.charts.sender`, one `Value` each.  ``python -m
generate.charts charts`` writes the files, with ``--check`` it tells whether they are up to date.
"""
