"""Measurements: each module prints one JSON object with ratios of one run; never part of the tests.

``python -m benchmarks`` runs them all and writes ``docs/benchmarks.md``; ``ticktrail bench NAME`` runs one.
"""
