"""`python -m pipeline.cli` is `gpu-rescue`."""

from pipeline.cli import main

main()
