"""What is true about a task: states, options, retries, errors. No I/O, no technology."""
