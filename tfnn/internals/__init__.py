"""The one door to what is private in Keras and TensorFlow: no other file of tfnn uses a name that they do not document.

Each function gives one thing that is wanted, under a name that says what it is, and its docstring says where the private
name was read, Keras 3.12.0, 3.13.2, 3.14.0 and 3.15.1, and what happens without it: it falls back on something, or `lookup`
raises one error that names it. So a new version of Keras is read for this folder alone, and what it lacks fails where it is
asked for, not at import.

A new one is added as a function here, in the file of its kind, with the name looked up by `lookup` inside the function;
`tests/test_door.py` finds what gets past.
"""
