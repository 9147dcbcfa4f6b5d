"""What a team writes without taskwire: small programs, each by its own documentation.

They are told where everything is by BASELINE_DATABASE, BASELINE_RABBITMQ_URL, BASELINE_REDIS_URL,
BASELINE_QUEUE and BASELINE_ENDED. The last is a file to which those without a record of what has
ended append a byte for every task; that costs some two microseconds.
"""
