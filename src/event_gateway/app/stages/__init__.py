"""The stages of a gateway process, each built by one function from the stages before it."""
