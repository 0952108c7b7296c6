"""``python -m gantools`` is the ``gantools`` command."""

from gantools.cli.main import main

if __name__ == "__main__":
    main()
