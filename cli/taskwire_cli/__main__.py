"""`python -m taskwire_cli` is `taskwire`."""

from taskwire_cli.main import main

if __name__ == "__main__":
    main()
