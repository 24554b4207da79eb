"""The tests: one folder a package, plus journeys with real processes."""
