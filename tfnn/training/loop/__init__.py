"""What the host does between two calls of a graph: epochs, callbacks, signals, and the first line."""
