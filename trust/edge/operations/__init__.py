"""The service in operation: who asks, how much of it, what is counted, how the service does, and how it comes to its end."""
