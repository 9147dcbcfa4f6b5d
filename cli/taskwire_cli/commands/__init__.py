"""One module for each command; a module's function has the command's name."""
