"""Benchmarks: each figure beside a peer or a bare loop of the same run. Nothing here is a test."""
