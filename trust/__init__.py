"""Who and what can be believed: the kernel, the public key infrastructure, the log, and every shared effect."""

VERSION = "0.1.0"
