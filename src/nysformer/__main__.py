"""`python -m nysformer` is the command line."""

from nysformer.cli.main import main

if __name__ == "__main__":
    main()
