"""How work gets done: claiming tasks, running their handlers and settling them."""
