"""DAGSTER: thin, no logic."""
