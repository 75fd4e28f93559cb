"""Binlogs and character sets of real servers, recorded to files for the decoder, its tests and benchmarks."""
