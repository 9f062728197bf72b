"""Review: people look at what screening was not sure of and at a sample of everything, and what they decide measures the rules."""
