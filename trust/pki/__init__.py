"""A small certification authority: profiles as data, issuing, revoking, and answering about status."""
