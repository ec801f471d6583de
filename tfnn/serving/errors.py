"""TensorFlow's errors about inputs that a graph cannot take, in one line."""


def essence(error):
    """The line of TensorFlow's message that says what is wrong."""
    lines = [line.strip() for line in error.message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("Graph execution", "Detected at", "<stack", "[["))]
    return lines[0].split(" [Op:")[0] if lines else "the input cannot be taken"
