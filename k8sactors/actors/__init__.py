"""Actors, mailboxes, envelopes and supervision."""
