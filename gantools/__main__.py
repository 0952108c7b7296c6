"""``python -m gantools`` is the ``gantools`` command."""

from gantools.cli.start import main

if __name__ == "__main__":
    main()
