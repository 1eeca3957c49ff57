"""`python -m moodtape`: the same as the `moodtape` command."""

from moodtape.cli import main

if __name__ == "__main__":
    main()
