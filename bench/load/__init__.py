"""The clients: h2load, which is written in C, and where more than requests is needed two of ours.

Each of ours is a process of its own that prints what it saw as one line of JSON.
"""
