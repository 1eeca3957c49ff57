"""A question becomes a study: the ground it stands on, its answers, its page; and one model."""
