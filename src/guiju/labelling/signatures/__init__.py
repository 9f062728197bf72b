"""Signatures of labels in ReservedCode: made with SM2 or Ed25519, checked in every form that is met."""
