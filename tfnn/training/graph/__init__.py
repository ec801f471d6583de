"""What is traced: the step on a batch, the loops around it, and how a compiled model is seen. Reads sources, knows no loop."""
