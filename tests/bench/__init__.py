"""The benchmark's own tests: that it counts, judges and reports rightly. None of them times."""
