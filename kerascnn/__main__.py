"""`python -m kerascnn` is `kerascnn`."""

from kerascnn.cli import main

main()
