"""The shapes of answers, for the OpenAPI document. The routes build the answers themselves."""
