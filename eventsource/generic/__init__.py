"""Parts of the event source `generic`: events of a gRPC service of one's own."""
