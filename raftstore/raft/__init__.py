"""Consensus as a pure state machine: message in, Ready out."""
