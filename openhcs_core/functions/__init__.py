"""Analysis functions of this package: numpy arrays ``[Z, Y, X]`` in, the same out.

A function is named in a pipeline as ``openhcs:<name>``. Each declares the array
library it is written for, how it takes a stack and what it gives besides its
image; its keyword parameters carry their limits, so that a schema can be derived.
"""
