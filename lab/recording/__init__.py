"""Binlogs and character sets of real servers, read into files: for the decoder, its tests and benchmarks."""
