"""HTTP as a client: requests, URLs as Go reads them, TLS from PEM texts, where one may go."""
