"""``python -m ticktrail``: the command line."""

from ticktrail.cli.main import main

if __name__ == "__main__":
    main()
