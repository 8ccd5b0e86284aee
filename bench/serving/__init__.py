"""What bench/serve.py and bench/soak.py are made of: servers as processes, timed streams, and what is measured."""
