"""guiju (规矩): the Interim Measures for the Management of Generative AI Services, as running software."""

__version__ = "0.1.0"
