"""S1: what a team writes without taskwire, FastAPI and Celery over RabbitMQ, Redis and SQLite."""
