"""What every job stands on, of the standard library alone: names of files, digests, locks, writing.

A job that only puts files back loads this and nothing of the rooms above, so each module is
imported by itself and imports little.
"""
