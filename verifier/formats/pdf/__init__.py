"""What a PDF is made of for the PAdES reader: bytes and revisions, signature dictionaries, validation stores, and what changed between revisions."""
