"""The e-seal issuer: documents in, sealed documents out."""
