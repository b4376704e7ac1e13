"""Benchmarks: `make bench` runs them and writes docs/performance.md. pytest collects none of them by itself."""
