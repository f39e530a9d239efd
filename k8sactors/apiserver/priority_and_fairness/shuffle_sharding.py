"""Shuffle sharding: each flow is dealt a few of the queues, so that few flows share all of theirs.

A flow that fills its queues harms another one only where their hands overlap.
"""

from __future__ import annotations


def deal(flow_hash: int, deck_size: int, hand_size: int) -> tuple[int, ...]:
    """The queues of a flow: `hand_size` different numbers below `deck_size`."""
    deck = list(range(deck_size))
    hand = []
    for dealt in range(hand_size):
        flow_hash, index = divmod(flow_hash, deck_size - dealt)
        hand.append(deck.pop(index))
    return tuple(hand)
