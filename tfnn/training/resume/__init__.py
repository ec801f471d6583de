"""What is saved of a run, so that it goes on to the same bits: state, files, and what must be the same."""
