"""The server of `tfnn serve`: exported models behind the KServe v2 protocol, over REST and gRPC, with MLServer."""
