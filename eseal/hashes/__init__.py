"""Hash-only sealing, raising and renewing: for those who do not send their documents. Server and client."""
