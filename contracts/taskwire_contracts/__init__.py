"""Task types: loading, checking and building the contracts that declare them."""
