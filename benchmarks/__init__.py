"""One file a question, each measured beside a peer and beside the hardware's limit."""
