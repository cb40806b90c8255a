"""Measurements: each module prints one JSON object with ratios of one run; never part of the tests.

``python -m benchmarks`` runs them all and writes ``docs/benchmarks.md``, ``python -m benchmarks NAME …`` some
of them; ``ticktrail bench NAME`` runs one and only prints.
"""
