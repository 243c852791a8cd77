"""Passerelle: intake and case tracking for programmes that help collective platforms."""
