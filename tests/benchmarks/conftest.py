# Benchmarks are commands: pytest is not to import them in search of doctests.
collect_ignore_glob = ["*.py"]
