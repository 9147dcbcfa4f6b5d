"""Every command, example and fact of README.md and docs/ is run or compared here."""
