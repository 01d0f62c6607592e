"""The context model: candidates judged by the islands of the whole read-out."""
